"""How the chain's answers become ours, where the devnet's runtime has no such case."""

from typing import Any

import pytest

from pylon.chain import query
from pylon.chain.queries.certificate_queries import NEURON_CERTIFICATES
from pylon.chain.queries.commitment_queries import COMMITMENT_OF, REVEALED_COMMITMENTS
from pylon.chain.queries.executors import EXECUTORS, execute
from pylon.chain.queries.storage_maps import KEYS_PER_PAGE, HotkeyStorageMap
from pylon_client.contract import wire
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.ss58 import ss58_address
from pylon_client.contract.types import Hotkey, MechanismId, NetUid
from pylon_devnet import Devnet, DevnetOptions
from tests.support.chain.fake_chain import block_of
from tests.support.chain.scripted_sdk import ScriptedSdk

ONE = NetUid(1)
BLOCK = block_of(1_000)
THERE = {"NetworksAdded": True}
KEY = bytes(range(32))
HEAD = f"0x{'00' * 12}"
"""The deposit and the block of a commitment."""


def commitments_sdk(
    values: dict[bytes, str], storage_map: HotkeyStorageMap = COMMITMENT_OF
) -> ScriptedSdk:
    prefix = f"0x{storage_map.prefix.hex()}0100{'00' * 8}"
    entries = {f"{prefix}{key.hex()}": value for key, value in values.items()}
    return ScriptedSdk(storage=THERE, entries=entries)


def test_every_question_has_an_adapter() -> None:
    asked = {
        kind
        for kind in vars(query).values()
        if isinstance(kind, type) and issubclass(kind, query.Query)
    }
    assert asked - {query.Query} == set(EXECUTORS)


@pytest.mark.parametrize("known", [COMMITMENT_OF, REVEALED_COMMITMENTS, NEURON_CERTIFICATES])
async def test_a_maps_prefix_is_the_hash_of_its_names(known: HotkeyStorageMap) -> None:
    codec = Devnet(DevnetOptions(port=0, autostart=False)).chain.codec
    pallet, item = known.name.split(".")
    under_one = codec.storage_key(pallet, item, [1])
    assert under_one == known.prefix + b"\x01\x00"


async def test_more_entries_than_a_page_are_all_read() -> None:
    keys = [number.to_bytes(32, "big") for number in range(2 * KEYS_PER_PAGE + 1)]
    sdk = commitments_sdk(dict.fromkeys(keys, f"{HEAD}0402aa"))
    found = await execute(sdk, query.Commitments(ONE), BLOCK)
    assert sdk.raw.pages == 3
    assert set(found.commitments) == {ss58_address(key) for key in keys}
    assert {one.commitment for one in found.commitments.values()} == {"0xaa"}


@pytest.mark.parametrize(
    "value",
    [
        "0x",
        "0x00",
        "0x" + "00" * 12 + "04",
        "0x" + "00" * 12 + "0402aabb",
        "0x" + "00" * 12 + "04ff",
    ],
    ids=["empty", "short", "no field", "too long", "unknown kind"],
)
async def test_a_commitment_that_cannot_be_read_is_skipped_with_its_reason(value: str) -> None:
    sdk = commitments_sdk({KEY: value, b"\x01" * 32: f"{HEAD}0402aa"})
    found = await execute(sdk, query.Commitments(ONE), BLOCK)
    assert list(found.commitments) == [ss58_address(b"\x01" * 32)]
    assert [one.item for one in found.skipped] == [ss58_address(KEY)]
    assert found.skipped[0].reason


async def test_a_certificate_that_cannot_be_read_is_skipped_and_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sdk = commitments_sdk({KEY: "0x0caabb"}, NEURON_CERTIFICATES)
    found = await execute(sdk, query.CertificatesOf(ONE), BLOCK)
    assert (found.certificates, [one.item for one in found.skipped]) == ({}, [ss58_address(KEY)])
    # The published reply has no room for it.
    assert f"{ss58_address(KEY)} on subnet 1" in caplog.text


async def test_a_reveal_that_failed_is_shown_and_not_skipped() -> None:
    sdk = commitments_sdk({KEY: "0x" + "00" * 8 + "07000000" + "04" + "8904aa0500000000000000"})
    found = await execute(sdk, query.Commitments(ONE), BLOCK)
    (failed,) = found.commitments.values()
    assert found.skipped == []
    assert wire.decode(wire.encode(failed))["reveal_failed"] is True


async def test_of_several_sealed_fields_the_one_that_opens_last_counts() -> None:
    fields = "08" + "8604aa0500000000000000" + "8604bb0400000000000000"
    sdk = commitments_sdk({KEY: "0x" + "00" * 8 + "07000000" + fields})
    found = await execute(sdk, query.Commitments(ONE), BLOCK)
    (sealed,) = found.commitments.values()
    assert wire.decode(wire.encode(sealed)) == {
        "kind": "timelock_encrypted",
        "commitment_block_number": 7,
        "hotkey": ss58_address(KEY),
        "commitment": "0xaa",
        "reveal_round": 5,
        "reveal_failed": False,
    }


async def test_an_extrinsic_that_cannot_be_decoded_does_not_spoil_the_others() -> None:
    call = {"call_module": "Timestamp", "call_function": "set", "call_args": []}
    good = {"extrinsic_hash": "0x00", "extrinsic_length": 1, "call": call}
    sdk = ScriptedSdk(block={"header": {}, "extrinsics": [good, None, {"odd": 1}, good]})
    found = await execute(sdk, query.Extrinsics(), BLOCK)
    assert [one and one.extrinsic_index for one in found.extrinsics] == [0, None, None, 3]
    assert [one.item for one in found.skipped] == ["1", "2"]


async def test_a_block_without_a_body_is_not_found() -> None:
    with pytest.raises(FailureError, match=r"Block 1000 not found\.") as caught:
        await execute(ScriptedSdk(), query.Extrinsics(), BLOCK)
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_prices_of_older_runtimes_are_the_ratio_of_the_pool() -> None:
    pools: list[Any] = [
        {"netuid": 0, "tao_in": 5, "alpha_in": 0},
        None,
        {"netuid": 2, "tao_in": 3 * 10**9, "alpha_in": 2 * 10**9},
        {"netuid": 3, "tao_in": 1, "alpha_in": 0},
    ]
    sdk = ScriptedSdk(apis={"get_all_dynamic_info": lambda: pools})
    found = await execute(sdk, query.Prices(), BLOCK)
    assert {netuid: price.value for netuid, price in found.prices.items()} == {
        0: 10**9,
        2: 1_500_000_000,
        3: 0,
    }


async def test_hyperparameters_of_older_runtimes_come_from_their_struct() -> None:
    struct = {
        "rho": 10,
        "liquid_alpha_enabled": False,
        "alpha_sigmoid_steepness": {"bits": 3 << 31},
        "odd": {"bits": 1},
    }
    sdk = ScriptedSdk(storage=THERE, apis={"get_subnet_hyperparams_v2": lambda _: struct})
    found = await execute(sdk, query.Hyperparameters(ONE), BLOCK)
    assert found.hyperparameters == {
        "rho": 10,
        "liquid_alpha_enabled": False,
        "alpha_sigmoid_steepness": 1.5,
    }
    assert [one.item for one in found.skipped] == ["odd"]


async def test_a_hyperparameter_of_an_unknown_kind_is_skipped() -> None:
    entries = [
        {"name": "rho", "value": {"U16": 10}},
        {"name": "new", "value": {"Matrix": [[1]]}},
    ]
    sdk = ScriptedSdk(storage=THERE, apis={"get_subnet_hyperparams_v3": lambda _: entries})
    found = await execute(sdk, query.Hyperparameters(ONE), BLOCK)
    assert found.hyperparameters == {"rho": 10}
    assert [one.item for one in found.skipped] == ["new"]


async def test_a_runtime_without_hyperparameters_says_so() -> None:
    with pytest.raises(FailureError) as caught:
        await execute(ScriptedSdk(storage=THERE), query.Hyperparameters(ONE), BLOCK)
    assert caught.value.code is ErrorCode.CHAIN_REJECTED


@pytest.mark.parametrize(
    ("updated_at", "registered_at", "submitted"),
    [(979, 1, False), (980, 1, True), (1_000, 1, True), (990, 990, False), (991, 990, True)],
)
@pytest.mark.parametrize("schedule", [{"LastEpochBlock": 980}, {"BlocksSinceLastStep": 20}])
async def test_weights_count_within_their_epoch_and_registration_is_none(
    schedule: dict[str, int], updated_at: int, registered_at: int, *, submitted: bool
) -> None:
    state = {
        "MechanismCountCurrent": 1,
        "Uids": 1,
        "LastUpdate": [0, updated_at],
        "BlockAtRegistration": registered_at,
    }
    sdk = ScriptedSdk(storage=THERE | schedule | state)
    question = query.WeightsOf(ONE, MechanismId(0), Hotkey("5"))
    assert (await execute(sdk, question, BLOCK)).weights_submitted is submitted


async def test_the_status_of_a_hotkey_that_is_not_registered_is_not_found() -> None:
    state = {"MechanismCountCurrent": 1, "Uids": None, "LastUpdate": [], "LastEpochBlock": 0}
    question = query.WeightsOf(ONE, MechanismId(0), Hotkey("5"))
    with pytest.raises(FailureError, match="not registered") as caught:
        await execute(ScriptedSdk(storage=THERE | state), question, BLOCK)
    assert caught.value.code is ErrorCode.NOT_FOUND
