"""How the devnet says no: before signing, in the pool, and when the call is made.

Every refusal is seen as the SDK shows it: the chain's name for it, and the SDK's code.
"""

import asyncio
from typing import Any

import bittensor
import pytest
from bittensor import ErrorCode, calls
from bittensor.sp_core import Keypair

from pylon_devnet import Devnet
from pylon_devnet.population import hotkey
from tests.support.chain.dev_wallet import DevWallet, dev_wallet
from tests.support.chain.sdk_storage import st
from tests.support.product.eventually import eventually

HOTKEY = {"signer": "hotkey"}
STRANGER = DevWallet("stranger", *(Keypair.create_from_seed(b"s" * 32) for _ in range(2)))
VALIDATOR = "sn1-3"
MINER = "sn1-70"


def weights(netuid: int = 1, uids: Any = (70,), values: Any = (65535,), version: int = 0) -> Any:
    return calls.SubtensorModule.set_weights(
        netuid=netuid, dests=list(uids), weights=list(values), version_key=version
    )


def commit(netuid: int = 12, size: int = 10, version: int = 4) -> Any:
    return calls.SubtensorModule.commit_timelocked_weights(
        netuid=netuid, commit=b"\xee" * size, reveal_round=1 << 40, commit_reveal_version=version
    )


def axon(netuid: int = 1, ip: int = 0xCB007107, port: int = 80, ip_type: int = 4) -> Any:
    return calls.SubtensorModule.serve_axon(
        netuid=netuid, version=1, ip=ip, port=port, ip_type=ip_type, protocol=4,
        placeholder1=0, placeholder2=0,
    )  # fmt: skip


def prometheus(netuid: int = 1, ip: int = 0xCB007107) -> Any:
    return calls.SubtensorModule.serve_prometheus(
        netuid=netuid, version=1, ip=ip, port=1, ip_type=4
    )


def commitment(netuid: int = 1, fields: int = 1, size: int = 4) -> Any:
    info = {"fields": [{f"Raw{size}": b"\x01" * size}] * fields}
    return calls.Commitments.set_commitment(netuid=netuid, info=info)


async def refused(
    client: bittensor.Client, call: Any, wallet: DevWallet, **how: Any
) -> tuple[str | None, ErrorCode]:
    result = await client.submit_call(call, wallet, **{**HOTKEY, **how})
    assert not result.success
    return result.error.name, result.error.code


async def test_preflight_refuses_before_anything_is_signed(
    live: Devnet, writer: bittensor.Client
) -> None:
    live.pause()
    intent = bittensor.SetWeights(netuid=1, weights={70: 1.0})
    with pytest.raises(bittensor.ChainError) as unregistered:
        await writer.execute(intent, STRANGER)
    assert unregistered.value.code == ErrorCode.NOT_REGISTERED
    await live.advance(5)
    live.set_storage("SubtensorModule", "LastUpdate", [1], [live.best_number] * 256)
    await live.advance(2)
    with pytest.raises(bittensor.ChainError) as too_soon:
        await writer.execute(intent, dev_wallet("sn1"))
    assert too_soon.value.code == ErrorCode.RATE_LIMITED
    assert live.applied_extrinsics() == []


POOL = {
    "no stake for weights": (weights(), MINER, "StakeAmountTooLow", ErrorCode.INVALID_ARGUMENT),
    "no stake for commits": (commit(), MINER, "StakeAmountTooLow", ErrorCode.INVALID_ARGUMENT),
    "nobody's axon": (
        axon(), "stranger", "HotKeyNotRegisteredInNetwork", ErrorCode.NOT_REGISTERED,
    ),
    "axon where it is not registered": (
        axon(netuid=2), "sn1", "HotKeyNotRegisteredInNetwork", ErrorCode.NOT_REGISTERED,
    ),
    "prometheus where it is not registered": (
        prometheus(netuid=2), "sn1", "HotKeyNotRegisteredInNetwork", ErrorCode.NOT_REGISTERED,
    ),
    "prometheus on nothing": (
        prometheus(ip=0), "sn1", "InvalidIpAddress", ErrorCode.INVALID_ARGUMENT,
    ),
    "axon on loopback": (
        axon(ip=0x7F000001), "sn1", "InvalidIpAddress", ErrorCode.INVALID_ARGUMENT,
    ),
    "axon without a port": (axon(port=0), "sn1", "InvalidPort", ErrorCode.INVALID_ARGUMENT),
    "axon of no version": (axon(ip_type=5), "sn1", "BadRequest", ErrorCode.INVALID_ARGUMENT),
}  # fmt: skip


@pytest.mark.parametrize("case", POOL)
async def test_pool_refuses(case: str, live: Devnet, writer: bittensor.Client) -> None:
    call, who, name, code = POOL[case]
    wallet = STRANGER if who == "stranger" else dev_wallet(who)
    seen = await refused(writer, call, wallet)
    assert seen[0] == name
    assert seen[1] == code or name in {"StakeAmountTooLow", "BadRequest"}
    assert live.applied_extrinsics() == []


async def test_the_pool_rejects_calls_above_the_rate_limit(
    live: Devnet, writer: bittensor.Client
) -> None:
    wallet = dev_wallet("sn1")
    for call, name in ((weights(), "RateLimitExceeded"), (axon(), "ServingRateLimitExceeded")):
        assert (await writer.submit_call(call, wallet, **HOTKEY)).success
        assert await refused(writer, call, wallet) == (name, ErrorCode.RATE_LIMITED)


async def test_the_pool_rejects_signers_that_cannot_pay(writer: bittensor.Client) -> None:
    seen = await refused(writer, calls.System.remark(remark=b"."), STRANGER)
    assert seen == ("Payment", ErrorCode.INSUFFICIENT_BALANCE)


async def test_pool_refuses_sudo_of_others(writer: bittensor.Client) -> None:
    inner = await writer.compose(calls.System.remark(remark=b"."))
    seen = await refused(writer, calls.Sudo.sudo(call=inner), dev_wallet("sn1"))
    assert seen == ("BadSigner", ErrorCode.NOT_AUTHORIZED)


async def _signed(client: bittensor.Client, nonce: int, remark: bytes = b".", **how: Any) -> Any:
    wallet = dev_wallet("sn1")
    call = calls.System.remark(remark=remark)
    unsigned = await client.prepare_call(
        call, address=wallet.hotkey.ss58_address, nonce=nonce, **how
    )
    return unsigned, wallet.hotkey.sign(unsigned.payload)


async def test_pool_refuses_bad_signatures_nonces_and_doubles(
    live: Devnet, writer: bittensor.Client
) -> None:
    live.pause()
    now = {"wait_for_inclusion": False, "wait_for_finalization": False}

    async def sent(nonce: int, *, break_signature: bool = False, **how: Any) -> Any:
        unsigned, signature = await _signed(writer, nonce, **how)
        if break_signature:
            signature = bytes([signature[0] ^ 1]) + signature[1:]
        result = await writer.submit_signature(unsigned, signature, **now)
        return result.success or (result.error.name, result.error.code)

    assert await sent(0, break_signature=True) == ("BadProof", ErrorCode.INVALID_ARGUMENT)
    assert await sent(0) is True
    assert await sent(0, remark=b"another") == ("PriorityTooLow", ErrorCode.RATE_LIMITED)
    unsigned, signature = await _signed(writer, 1)
    assert (await writer.submit_signature(unsigned, signature, **now)).success
    again = await writer.submit_signature(unsigned, signature, **now)
    assert (again.error.name, again.error.code) == ("AlreadyImported", ErrorCode.ALREADY_EXISTS)
    await live.advance()
    assert len(live.applied_extrinsics()) == 2
    assert await sent(1) == ("Stale", ErrorCode.EXPIRED)


async def test_an_extrinsic_after_its_era_is_refused(
    live: Devnet, writer: bittensor.Client
) -> None:
    live.pause()
    late = await _signed(writer, 0, period=4)
    waiting = await _signed(writer, 3, period=4)
    await writer.submit_signature(*waiting, wait_for_inclusion=False, wait_for_finalization=False)
    assert len(live.pool) == 1
    await live.advance(6)
    assert len(live.pool) == 0
    refused_late = await writer.submit_signature(*late)
    assert refused_late.error.name == "BadProof"


async def test_a_gap_of_nonces_is_filled_by_a_later_extrinsic(
    live: Devnet, writer: bittensor.Client
) -> None:
    watching = [
        asyncio.create_task(writer.submit_signature(*await _signed(writer, nonce)))
        for nonce in (2, 1)
    ]
    await eventually(lambda: len(live.pool) == 2)
    before = live.best_number
    await eventually(lambda: live.best_number >= before + 3)
    assert live.applied_extrinsics() == []
    assert not any(task.done() for task in watching)
    assert (await writer.submit_signature(*await _signed(writer, 0))).success
    assert all([(await task).success for task in watching])
    assert [one.nonce for one in live.applied_extrinsics()] == [0, 1, 2]


async def test_a_higher_tip_replaces_an_extrinsic(live: Devnet, writer: bittensor.Client) -> None:
    live.pause()
    without_tip = asyncio.create_task(writer.submit_signature(*await _signed(writer, 0)))
    await eventually(lambda: len(live.pool) == 1)
    with_tip = asyncio.create_task(writer.submit_signature(*await _signed(writer, 0, tip=5)))
    replaced = await without_tip
    assert (replaced.error.name, replaced.error.code) == ("Usurped", ErrorCode.ALREADY_EXISTS)
    live.resume()
    assert (await with_tip).success


async def test_bytes_that_are_not_an_extrinsic_are_refused(
    devnet: Devnet, client: bittensor.Client
) -> None:
    substrate: Any = client._substrate
    for data, text in (("0x1234", "invalid format"), ("0x", "invalid format")):
        with pytest.raises(Exception, match=text):
            await substrate.raw.rpc_request("author_submitExtrinsic", [data])


DISPATCH: dict[str, tuple[Any, str, str, ErrorCode, dict[str, Any]]] = {
    "commit-reveal is on": (
        weights(netuid=12), "sn12", "CommitRevealEnabled", ErrorCode.DISABLED, {},
    ),
    "lengths differ": (
        weights(uids=(1, 2)), "sn1", "WeightVecNotEqualSize", ErrorCode.INVALID_ARGUMENT, {},
    ),
    "no such subnet": (
        weights(netuid=9), "sn1", "MechanismDoesNotExist", ErrorCode.SUBNET_NOT_EXISTS,
        {"StakeThreshold": ([], 0), "CommitRevealWeightsEnabled": ([9], False)},
    ),
    "root": (
        weights(netuid=0), "sn1", "CanNotSetRootNetworkWeights", ErrorCode.INVALID_ARGUMENT,
        {"StakeThreshold": ([], 0)},
    ),
    "no such mechanism": (
        calls.SubtensorModule.set_mechanism_weights(
            netuid=1, mecid=1, dests=[70], weights=[1], version_key=0
        ), "sn1", "MechanismDoesNotExist", ErrorCode.SUBNET_NOT_EXISTS, {},
    ),
    "not of this subnet": (
        weights(netuid=2), "sn1", "HotKeyNotRegisteredInSubNet", ErrorCode.NOT_REGISTERED,
        {"StakeThreshold": ([], 0)},
    ),
    "an old version": (
        weights(version=4), "sn1", "IncorrectWeightVersionKey", ErrorCode.INVALID_ARGUMENT,
        {"WeightsVersionKey": ([1], 5)},
    ),
    "no permit": (
        weights(uids=(71,)), "sn1-70", "NeuronNoValidatorPermit", ErrorCode.NOT_AUTHORIZED,
        {"StakeThreshold": ([], 0)},
    ),
    "the same uid twice": (
        weights(uids=(70, 70), values=(1, 1)), "sn1", "DuplicateUids", ErrorCode.INVALID_ARGUMENT,
        {},
    ),
    "too many": (
        weights(uids=range(257), values=[1] * 257), "sn1", "UidsLengthExceedUidsInSubNet",
        ErrorCode.LIMIT_EXCEEDED, {},
    ),
    "a uid that is not there": (
        weights(uids=(256,)), "sn1", "UidVecContainInvalidOne", ErrorCode.INVALID_ARGUMENT, {},
    ),
    "too few": (
        weights(), "sn1", "WeightVecLengthIsLow", ErrorCode.INVALID_ARGUMENT,
        {"MinAllowedWeights": ([1], 3)},
    ),
    "commit-reveal is off": (
        commit(netuid=1), "sn1", "CommitRevealDisabled", ErrorCode.DISABLED, {},
    ),
    "commit-reveal is off, and another version": (
        commit(netuid=1, version=3), "sn1", "CommitRevealDisabled", ErrorCode.DISABLED, {},
    ),
    "another version of commits": (
        commit(version=3), "sn12", "IncorrectCommitRevealVersion", ErrorCode.INVALID_ARGUMENT, {},
    ),
    "a commit that is too long": (
        commit(size=5001), "sn12", "CommitPayloadTooLarge", ErrorCode.LIMIT_EXCEEDED, {},
    ),
    "a commitment elsewhere": (
        commitment(netuid=2), "sn1", "AccountNotAllowedCommit", ErrorCode.NOT_AUTHORIZED, {},
    ),
    "a failed reveal that nobody but the chain may write": (
        calls.Commitments.set_commitment(netuid=1, info={"fields": [
            {"TimelockRevealFailed": {"encrypted": b"x", "reveal_round": 1}},
        ]}), "sn1", "TimelockRevealFailedNotAllowed", ErrorCode.INVALID_ARGUMENT, {},
    ),
    "a call nobody wrote": (
        calls.SubtensorModule.root_register(hotkey=hotkey(1, 0)), "sn1", "CallFiltered",
        ErrorCode.NOT_AUTHORIZED, {},
    ),
    "more than there is": (
        calls.Balances.transfer_allow_death(dest=hotkey(1, 1), value=10**18), "sn1",
        "FundsUnavailable", ErrorCode.INSUFFICIENT_BALANCE, {},
    ),
    "less than an account may have": (
        calls.Balances.transfer_allow_death(dest=hotkey(1, 99), value=1), "sn1", "BelowMinimum",
        ErrorCode.INSUFFICIENT_BALANCE, {},
    ),
    "setting what is root's": (
        calls.AdminUtils.sudo_set_stake_threshold(min_stake=0), "sn1", "BadOrigin",
        ErrorCode.NOT_AUTHORIZED, {},
    ),
    "a subnet that nobody made": (
        calls.AdminUtils.sudo_set_tempo(netuid=9, tempo=1), "sn1", "SubnetDoesNotExist",
        ErrorCode.SUBNET_NOT_EXISTS, {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DISPATCH)
async def test_a_call_fails_in_its_block(case: str, live: Devnet, writer: bittensor.Client) -> None:
    call, who, name, code, settings = DISPATCH[case]
    for item, (params, value) in settings.items():
        live.set_storage("SubtensorModule", item, params, value)
    await live.advance()
    seen = await refused(writer, call, dev_wallet(who), wait_for_finalization=False)
    assert seen[0] == name
    (applied,) = live.applied_extrinsics()
    assert applied.error is not None
    assert applied.error.rpartition(".")[2] in {name, "Token"}
    assert seen[1] == code


async def test_registration_errors_are_reported(live: Devnet, writer: bittensor.Client) -> None:
    def register(netuid: int, key: str) -> Any:
        return calls.SubtensorModule.burned_register(netuid=netuid, hotkey=key)

    owner = dev_wallet("sn1")
    fresh = Keypair.create_from_seed(b"f" * 32).ss58_address
    coldkey = {"signer": "coldkey", "wait_for_finalization": False}
    for call, name in (
        (register(0, fresh), "RegistrationNotPermittedOnRootSubnet"),
        (register(9, fresh), "SubnetNotExists"),
        (register(1, hotkey(1, 5)), "HotKeyAlreadyRegisteredInSubNet"),
        (register(2, hotkey(1, 5)), "NonAssociatedColdKey"),
    ):
        assert (await refused(writer, call, owner, **coldkey))[0] == name
    live.set_hyperparameter(2, "NetworkRegistrationAllowed", value=False)
    await live.advance()
    assert (await refused(writer, register(2, fresh), owner, **coldkey))[0] == (
        "SubNetRegistrationDisabled"
    )
    live.set_storage("SubtensorModule", "Burn", [12], 10**15)
    await live.advance()
    assert (await refused(writer, register(12, fresh), owner, **coldkey))[0] == (
        "NotEnoughBalanceToStake"
    )
    limited = calls.SubtensorModule.register_limit(netuid=12, hotkey=fresh, limit_price=5)
    assert (await refused(writer, limited, owner, **coldkey))[0] == "RegistrationPriceLimitExceeded"


async def test_a_transfer_keeps_the_existential_deposit(writer: bittensor.Client) -> None:
    def transfer(rao: int) -> Any:
        return calls.Balances.transfer_keep_alive(dest=hotkey(1, 1), value=rao)

    wallet = dev_wallet("sn1")
    paid = await writer.submit_call(transfer(600 * 10**9), wallet, **HOTKEY)
    left = (await writer.balances.get(hotkey(1, 0))).rao - paid.fee.rao
    seen = await refused(writer, transfer(left - 100), wallet)
    assert seen == ("NotExpendable", ErrorCode.INSUFFICIENT_BALANCE)


async def test_a_failed_call_changes_only_the_nonce(live: Devnet, writer: bittensor.Client) -> None:
    live.pause()
    inner = await writer.compose(calls.Balances.transfer_keep_alive(dest=hotkey(1, 1), value=10**9))
    bad = await writer.compose(calls.AdminUtils.sudo_set_stake_threshold(min_stake=0))
    submitting = asyncio.create_task(
        refused(writer, calls.Utility.batch_all(calls=[inner, bad]), dev_wallet("sn1"))
    )
    await eventually(lambda: len(live.pool) == 1)
    before = (await writer.balances.get(hotkey(1, 1))).rao
    live.resume()
    assert (await submitting)[0] == "BadOrigin"
    assert (await writer.balances.get(hotkey(1, 1))).rao == before
    account = await writer.query(st.System.Account, [hotkey(1, 0)])
    assert account["nonce"] == 1


async def test_commitments_have_a_byte_budget_per_epoch(
    live: Devnet, writer: bittensor.Client
) -> None:
    live.set_storage("Commitments", "MaxSpace", [], 250)
    live.pause()
    await live.advance()
    live.resume()
    wallet = dev_wallet("sn1")
    soon = {**HOTKEY, "wait_for_finalization": False}
    for _ in range(2):
        assert (await writer.submit_call(commitment(), wallet, **soon)).success
    assert (await refused(writer, commitment(), wallet))[0] == "SpaceLimitExceeded"
    live.trigger_epoch(1)
    await live.advance()
    assert (await writer.submit_call(commitment(), wallet, **soon)).success


async def test_one_of_two_concurrent_calls_passes_the_rate_limit(
    live: Devnet, writer: bittensor.Client
) -> None:
    live.pause()
    wallet = dev_wallet("sn1")
    both = [asyncio.create_task(writer.submit_call(weights(), wallet, **HOTKEY)) for _ in range(2)]
    await eventually(lambda: len(live.pool) == 2)
    live.resume()
    first, second = [await task for task in both]
    assert {first.success, second.success} == {True, False}
    failed = second if first.success else first
    assert (failed.error.name, failed.error.code) == (
        "SettingWeightsTooFast",
        ErrorCode.RATE_LIMITED,
    )
