"""Validation of extrinsics, and the result of their calls."""

import logging
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from pylon_devnet import execution
from pylon_devnet.calls.balance_calls import free_balance, set_free_balance
from pylon_devnet.calls.dispatch import DecodedCall, DispatchContext
from pylon_devnet.chain_state import Draft
from pylon_devnet.codec import sr25519_address
from pylon_devnet.execution import BASE_FEE_RAO, FEE_PER_BYTE_RAO, ExtrinsicExecutor
from pylon_devnet.extrinsics import Era, ParsedExtrinsic, parse_extrinsic
from pylon_devnet.population import dev_coldkey_seed, dev_hotkey_seed
from pylon_devnet.rpc_error import RpcError
from pylon_devnet.subnet_state import SUBTENSOR
from tests.support.chain.devnet_draft import genesis_chain, new_draft
from tests.support.chain.signing import signed

SEED, HOTKEY_SEED = dev_coldkey_seed("sn1"), dev_hotkey_seed("sn1")
WHO = sr25519_address(SEED)
REMARK = ("System", "remark", {"remark": b"!"})
WEIGHTS = (
    SUBTENSOR,
    "set_weights",
    {"netuid": 1, "dests": [2], "weights": [1], "version_key": 0},
)
NOT_ROOT = ("AdminUtils", "sudo_set_stake_threshold", {"min_stake": 1})


@cache
def executor() -> ExtrinsicExecutor:
    chain = genesis_chain()
    return ExtrinsicExecutor(chain.codec, chain.declaration, chain.genesis_hash)


def extrinsic(
    call: tuple[str, str, dict[str, Any]] = REMARK, nonce: int = 0, seed: bytes = SEED
) -> ParsedExtrinsic:
    return parse_extrinsic(signed(genesis_chain(), seed, call, nonce))


def batch(*inner: tuple[str, str, dict[str, Any]]) -> tuple[str, str, dict[str, Any]]:
    given = [{pallet: {function: arguments}} for pallet, function, arguments in inner]
    return ("Utility", "batch", {"calls": given})


def block_hash(number: int) -> bytes | None:
    return genesis_chain().genesis_hash if number == 0 else None


def reason_of(given: ParsedExtrinsic, draft: Draft) -> str | None:
    """Return why the pool refuses an extrinsic, or None if it does not."""
    try:
        executor().check(given, draft, draft.number, block_hash)
    except RpcError as error:
        return error.data or error.message
    return None


def apply(draft: Draft, given: ParsedExtrinsic) -> tuple[list[str], str | None]:
    """Apply an extrinsic; return the names of its events, and its error."""
    records, applied = executor().apply(draft, 3, given)
    assert {one["phase"]["ApplyExtrinsic"] for one in records} == {3}
    assert (applied.index, applied.block_number, applied.nonce) == (3, draft.number, given.nonce)
    assert (applied.signer, applied.hash) == (given.signer, "0x" + given.hash.hex())
    draft.put("System", "Events", records)
    return [one["event_id"] for one in draft.get("System", "Events")], applied.error


def nonce(draft: Draft, who: str = WHO) -> int:
    return draft.get("System", "Account", who)["nonce"]


def test_a_valid_extrinsic_is_accepted() -> None:
    assert reason_of(extrinsic(), new_draft()) is None
    assert reason_of(extrinsic(nonce=5), new_draft()) is None, "its nonce may come later"


def test_a_used_nonce_is_stale() -> None:
    draft = new_draft()
    apply(draft, extrinsic())
    assert reason_of(extrinsic(), draft) == "Transaction is outdated"
    assert reason_of(extrinsic(nonce=1), draft) is None


def test_a_signature_is_for_its_signer_runtime_and_era() -> None:
    bad = "Transaction has a bad signature"
    good = extrinsic()
    assert reason_of(replace(good, signature=bytes(64)), new_draft()) == bad
    assert reason_of(replace(good, nonce=1, extra=b"\x00\x04\x00\x00"), new_draft()) == bad
    other = ExtrinsicExecutor(genesis_chain().codec, genesis_chain().declaration, bytes(32))
    with pytest.raises(RpcError, match="Invalid Transaction"):
        other.check(good, new_draft(), 1, block_hash)
    unknown_birth = replace(good, era=Era(64, 5))
    assert reason_of(unknown_birth, new_draft(10)) == bad


def test_an_era_longer_than_the_stored_hashes_is_ancient() -> None:
    mortal = replace(extrinsic(), era=Era(4096, 0))
    assert reason_of(mortal, new_draft(2401)) == "Transaction has an ancient birth block"
    assert reason_of(mortal, new_draft(2400)) is None


def test_a_signer_must_be_able_to_pay_the_fee() -> None:
    given = extrinsic()
    fee = BASE_FEE_RAO + FEE_PER_BYTE_RAO * len(given.raw)
    draft = new_draft()
    set_free_balance(draft, WHO, fee)
    assert reason_of(given, draft) is None
    set_free_balance(draft, WHO, fee - 1)
    assert str(reason_of(given, draft)).startswith("Inability to pay some fees")


def test_a_call_of_another_runtime_cannot_be_verified() -> None:
    assert "Verification Error" in str(
        reason_of(replace(extrinsic(), call=b"\xff\xff"), new_draft())
    )


def test_the_pool_refuses_a_call_with_the_custom_code_of_its_guard() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "LastUpdate", 1, [1] * 16)
    given = extrinsic(WEIGHTS, seed=HOTKEY_SEED)
    assert reason_of(given, draft) == "Custom error: 6"
    call = executor().check_inclusion(given, draft, draft.number, block_hash)
    assert call.name == "SubtensorModule.set_weights", "a block includes it, and it fails there"
    assert apply(draft, given)[1] == "SubtensorModule.SettingWeightsTooFast"


def test_only_the_sudo_key_may_sign_for_root() -> None:
    inner = {"System": {"remark": {"remark": b"!"}}}
    call = ("Sudo", "sudo", {"call": inner})
    assert reason_of(extrinsic(call), new_draft()) == "Invalid signing address"
    sudo = dev_coldkey_seed("sudo")
    assert reason_of(extrinsic(call, seed=sudo), new_draft()) is None


@pytest.mark.parametrize(("call", "is_free"), [(REMARK, False), (NOT_ROOT, True)])
def test_some_pallets_cost_a_fee_by_length(call: Any, is_free: bool) -> None:  # noqa: FBT001 -- a parameter
    encoded = extrinsic(call).call
    expected = 0 if is_free else BASE_FEE_RAO + 200 * FEE_PER_BYTE_RAO
    assert executor().fee(encoded, 200) == expected


def test_a_success_takes_the_nonce_and_the_fee() -> None:
    draft, given = new_draft(), extrinsic()
    before = free_balance(draft, WHO)
    names, error = apply(draft, given)
    assert (names, error) == (["Withdraw", "TransactionFeePaid", "ExtrinsicSuccess"], None)
    assert nonce(draft) == 1
    assert before - free_balance(draft, WHO) == executor().fee(given.call, len(given.raw))


def test_a_failed_call_changes_the_nonce_only() -> None:
    draft = new_draft()
    names, error = apply(draft, extrinsic(NOT_ROOT))
    assert (names, error) == (["TransactionFeePaid", "ExtrinsicFailed"], "BadOrigin")
    assert nonce(draft) == 1
    account = genesis_chain().codec.storage_key("System", "Account", [WHO])
    events = genesis_chain().codec.storage_key("System", "Events", [])
    assert set(draft.changes) == {account, events}


def test_a_failed_inner_call_takes_its_events_and_writes_along() -> None:
    payee = sr25519_address(b"p" * 32)
    moves = ("Balances", "transfer_allow_death", {"dest": {"Id": payee}, "value": 1000})
    draft = new_draft()
    names, error = apply(draft, extrinsic(batch(moves, NOT_ROOT, REMARK)))
    assert error is None
    assert names[1:4] == ["Transfer", "ItemCompleted", "BatchInterrupted"]
    assert free_balance(draft, payee) == 1000
    draft = new_draft()
    every = ("Utility", "batch_all", batch(moves, NOT_ROOT)[2])
    names, error = apply(draft, extrinsic(every))
    assert (names, error) == (["Withdraw", "TransactionFeePaid", "ExtrinsicFailed"], "BadOrigin")
    assert free_balance(draft, payee) == 0


def test_the_guard_of_an_inner_call_fails_with_its_error() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "StakeThreshold", 0)
    draft.put(SUBTENSOR, "LastUpdate", 1, [1] * 16)
    names, _ = apply(draft, extrinsic(batch(WEIGHTS), seed=HOTKEY_SEED))
    assert "BatchInterrupted" in names


def test_a_call_without_a_handler_is_filtered() -> None:
    call = (SUBTENSOR, "root_register", {"hotkey": WHO})
    assert apply(new_draft(), extrinsic(call))[1] == "System.CallFiltered"


def test_a_mistake_in_a_handler_does_not_stop_the_chain(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mistaken(dispatch: DispatchContext, _: DecodedCall) -> None:
        dispatch.emit("System", "CodeUpdated")
        raise ZeroDivisionError

    monkeypatch.setitem(execution.HANDLERS, "System.remark", mistaken)
    with caplog.at_level(logging.ERROR):
        names, error = apply(new_draft(), extrinsic())
    assert (names, error) == (["Withdraw", "TransactionFeePaid", "ExtrinsicFailed"], "Other")
    assert "System.remark failed with an unexpected exception" in caplog.text
