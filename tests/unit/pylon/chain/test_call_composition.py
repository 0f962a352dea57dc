"""Calls as the runtime of the chain expects them."""

import time
from typing import Any

import pytest

from pylon.chain.bounds import ImplausibleError
from pylon.chain.call_composition import MAX_CLOCK_LAG_S, compose_call
from pylon.chain.write_port import (
    CertificateCall,
    CommitmentCall,
    CommitRevealState,
    TimelockedCommitmentCall,
    WeightsCall,
    WriteCall,
)
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber, MechanismId, NetUid, NeuronUid
from tests.support.chain.dev_wallet import dev_wallet
from tests.support.chain.writing_sdk import CALLS, WritingSdk

NETUID = NetUid(1)
SIGNER = dev_wallet("sn1").hotkey
COMMIT_REVEAL = CommitRevealState(
    version=4,
    block=BlockNumber(1000),
    tempo=360,
    reveal_period_epochs=1,
    last_epoch_block=900,
    pending_epoch_at=0,
    epoch_index=3,
    blocks_since_last_step=100,
)
TIMELOCKED = TimelockedCommitmentCall(NETUID, "text", 100)


def weights(mechanism: int = 0, commit_reveal: CommitRevealState | None = None) -> WeightsCall:
    given = {NeuronUid(5): 65535, NeuronUid(7): 1}
    return WeightsCall(NETUID, MechanismId(mechanism), given, 9, commit_reveal)


def sdk_of(lag_s: float = 0.0, **known: Any) -> WritingSdk:
    """Return an SDK whose newest block is `lag_s` ahead of this machine's clock."""
    return WritingSdk(storage={"Now": round((time.time() + lag_s) * 1000)}, **known)


async def composed(sdk: WritingSdk, call: WriteCall) -> tuple[str, dict[str, Any], int | None]:
    """Return the name and parameters of a composed call, and its reveal round."""
    encoded, reveal_round = await compose_call(sdk, call, SIGNER)
    name, parameters = sdk.composed[-1]
    assert encoded == f"composed {name}"
    return name, parameters, reveal_round


async def test_plain_weights_are_set_for_their_mechanism() -> None:
    for mechanism in (0, 2):
        name, given, reveal_round = await composed(sdk_of(), weights(mechanism))
        assert (name, reveal_round) == ("SubtensorModule.set_mechanism_weights", None)
        assert given == {
            "netuid": 1,
            "mecid": mechanism,
            "dests": [5, 7],
            "weights": [65535, 1],
            "version_key": 9,
        }


async def test_a_runtime_without_mechanisms_sets_the_weights_of_the_subnet() -> None:
    older = frozenset(name for name in CALLS if "mechanism" not in name)
    name, given, _ = await composed(sdk_of(calls=older), weights())
    assert name == "SubtensorModule.set_weights"
    assert given == {"netuid": 1, "dests": [5, 7], "weights": [65535, 1], "version_key": 9}
    name, given, _ = await composed(sdk_of(calls=older), weights(0, COMMIT_REVEAL))
    assert name == "SubtensorModule.commit_timelocked_weights"
    with pytest.raises(FailureError, match="does not have SubtensorModule"):
        await compose_call(sdk_of(calls=older), weights(1), SIGNER)


async def test_weights_of_a_subnet_with_commit_reveal_are_timelocked() -> None:
    name, given, reveal_round = await composed(sdk_of(), weights(1, COMMIT_REVEAL))
    assert name == "SubtensorModule.commit_timelocked_mechanism_weights"
    assert (given["netuid"], given["mecid"], given["commit_reveal_version"]) == (1, 1, 4)
    assert given["reveal_round"] == reveal_round
    assert isinstance(given["commit"], bytes)


async def test_faster_blocks_are_revealed_at_an_earlier_round() -> None:
    rounds = [
        (await composed(sdk_of(seconds_per_block=seconds), call))[2]
        for call in (weights(0, COMMIT_REVEAL), TIMELOCKED)
        for seconds in (12.0, 1.0)
    ]
    assert None not in rounds
    slow, fast, slow_commitment, fast_commitment = rounds
    assert (slow or 0) > (fast or 0)
    # 100 blocks of 12 s and of 1 s are 400 and 33 rounds of 3 s.
    assert 300 < (slow_commitment or 0) - (fast_commitment or 0) < 400


@pytest.mark.parametrize("call", [weights(0, COMMIT_REVEAL), TIMELOCKED])
async def test_nothing_is_timelocked_with_a_slow_clock(call: WriteCall) -> None:
    sdk = sdk_of(MAX_CLOCK_LAG_S + 5)
    with pytest.raises(FailureError, match=r"clock is 3\d s behind") as caught:
        await compose_call(sdk, call, SIGNER)
    assert caught.value.code is ErrorCode.MISCONFIGURED
    assert sdk.composed == []
    await compose_call(sdk_of(MAX_CLOCK_LAG_S - 5), call, SIGNER)
    await compose_call(sdk_of(-3600), call, SIGNER)


async def test_a_block_time_out_of_bounds_seals_nothing() -> None:
    for seconds in (0.0, 1e9):
        sdk = sdk_of(seconds_per_block=seconds)
        with pytest.raises(ImplausibleError):
            await compose_call(sdk, TIMELOCKED, SIGNER)


@pytest.mark.parametrize("size", [0, 1, 128])
async def test_a_commitment_is_raw_data_of_its_size(size: int) -> None:
    name, given, reveal_round = await composed(WritingSdk(), CommitmentCall(NETUID, b"\xab" * size))
    assert (name, reveal_round) == ("Commitments.set_commitment", None)
    field = {f"Raw{size}": "0x" + "ab" * size}
    assert given == {"netuid": 1, "info": {"fields": [field]}}


async def test_a_timelocked_commitment_has_the_round_that_reveals_it() -> None:
    _, given, reveal_round = await composed(sdk_of(), TIMELOCKED)
    ((kind, content),) = given["info"]["fields"][0].items()
    assert kind == "TimelockEncrypted"
    assert content["reveal_round"] == reveal_round
    assert content["encrypted"].startswith("0x")


async def test_a_certificate_keeps_the_announced_axon() -> None:
    axon = {"version": 3, "ip": 5, "port": 80, "ip_type": 6, "protocol": 4, "placeholder1": 9}
    call = CertificateCall(NETUID, 1, b"key")
    name, given, _ = await composed(WritingSdk(storage={"Axons": axon}), call)
    assert name == "SubtensorModule.serve_axon_tls"
    kept = ("version", "ip", "port", "ip_type", "protocol")
    assert {part: given[part] for part in kept} == {part: axon[part] for part in kept}
    assert given["certificate"] == b"\x01key"


@pytest.mark.parametrize("stored", [None, {"port": 0, "ip_type": 0}])
async def test_a_neuron_without_an_axon_announces_a_port_that_the_chain_accepts(
    stored: Any,
) -> None:
    _, given, _ = await composed(
        WritingSdk(storage={"Axons": stored}), CertificateCall(NETUID, 1, b"key")
    )
    assert (given["ip"], given["port"], given["ip_type"]) == (0, 1, 4)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (CommitmentCall(NETUID, b""), "Commitments.set_commitment"),
        (CertificateCall(NETUID, 1, b""), "SubtensorModule.serve_axon_tls"),
        (weights(), "SubtensorModule.set_weights"),
    ],
)
async def test_a_missing_call_is_named(call: WriteCall, name: str) -> None:
    sdk = WritingSdk(storage={"Axons": None}, calls=frozenset())
    with pytest.raises(FailureError, match=f"does not have {name}") as caught:
        await compose_call(sdk, call, SIGNER)
    assert caught.value.code is ErrorCode.RUNTIME_UNSUPPORTED
