"""Transfers of TAO, and remarks."""

from typing import Any

import pytest

from pylon_devnet.calls.balance_calls import (
    EXISTENTIAL_DEPOSIT_RAO,
    address_of,
    free_balance,
    set_free_balance,
    withdraw,
)
from pylon_devnet.calls.dispatch import DispatchError
from pylon_devnet.chain_state import Draft
from pylon_devnet.codec import blake2b_256
from pylon_devnet.population import coldkey
from tests.support.chain.devnet_draft import (
    Event,
    decoded_call,
    dispatch_context,
    execute_call,
    new_draft,
)

PAYER, PAYEE = coldkey(1, 0), coldkey(9, 9)
HAS_RAO = 1_000_000


def funded() -> Draft:
    draft = new_draft()
    set_free_balance(draft, PAYER, HAS_RAO)
    return draft


def transfer(draft: Draft, function: str, **arguments: Any) -> list[Event]:
    call = decoded_call("Balances", function, dest={"Id": PAYEE}, **arguments)
    return execute_call(draft, PAYER, call)


def balances(draft: Draft) -> tuple[int, int]:
    return free_balance(draft, PAYER), free_balance(draft, PAYEE)


def test_a_transfer_moves_its_amount() -> None:
    draft = funded()
    events = transfer(draft, "transfer_keep_alive", value=600)
    assert balances(draft) == (HAS_RAO - 600, 600)
    assert events == [("Balances", "Transfer", {"from": PAYER, "to": PAYEE, "amount": 600})]
    assert draft.get("System", "Account", PAYEE)["providers"] == 1


@pytest.mark.parametrize(
    ("function", "amount", "inner"),
    [
        ("transfer_allow_death", HAS_RAO + 1, "FundsUnavailable"),
        ("transfer_allow_death", EXISTENTIAL_DEPOSIT_RAO - 1, "BelowMinimum"),
        ("transfer_keep_alive", HAS_RAO - EXISTENTIAL_DEPOSIT_RAO + 1, "NotExpendable"),
    ],
)
def test_a_transfer_that_breaks_a_rule_moves_nothing(
    function: str, amount: int, inner: str
) -> None:
    draft = funded()
    with pytest.raises(DispatchError) as refused:
        transfer(draft, function, value=amount)
    error = refused.value
    assert (error.name, error.pallet, error.inner) == ("Token", None, inner)
    assert balances(draft) == (HAS_RAO, 0)


def test_everything_is_transferred_with_or_without_the_deposit() -> None:
    draft = funded()
    transfer(draft, "transfer_all", keep_alive=True)
    moved = HAS_RAO - EXISTENTIAL_DEPOSIT_RAO
    assert balances(draft) == (EXISTENTIAL_DEPOSIT_RAO, moved)
    transfer(draft, "transfer_all", keep_alive=False)
    assert balances(draft) == (0, HAS_RAO)


def test_a_transfer_to_oneself_changes_nothing() -> None:
    draft = funded()
    call = decoded_call("Balances", "transfer_allow_death", dest={"Id": PAYER}, value=HAS_RAO)
    execute_call(draft, PAYER, call)
    assert free_balance(draft, PAYER) == HAS_RAO


def test_root_has_no_balance_to_transfer() -> None:
    call = decoded_call("Balances", "transfer_allow_death", dest={"Id": PAYEE}, value=1)
    with pytest.raises(DispatchError, match="BadOrigin"):
        execute_call(funded(), None, call)


def test_a_withdrawal_above_the_balance_fails() -> None:
    draft = funded()
    context = dispatch_context(draft, PAYER)
    assert not withdraw(context, PAYER, HAS_RAO + 1)
    assert (free_balance(draft, PAYER), context.events) == (HAS_RAO, [])
    assert withdraw(context, PAYER, HAS_RAO)
    assert free_balance(draft, PAYER) == 0
    assert context.events == [("Balances", "Withdraw", {"who": PAYER, "amount": HAS_RAO})]


def test_only_account_ids_can_be_looked_up() -> None:
    assert address_of({"Id": PAYEE}) == address_of(PAYEE) == PAYEE
    for other in ({"Index": 0}, {"Raw": b"x"}, None):
        with pytest.raises(DispatchError, match="CannotLookup"):
            address_of(other)


@pytest.mark.parametrize("text", [b"", b"hello", b"0x6869", b"x" * 100])
def test_a_remark_emits_the_hash_of_its_bytes(text: bytes) -> None:
    events = execute_call(
        new_draft(), PAYER, decoded_call("System", "remark_with_event", remark=text)
    )
    digest = "0x" + blake2b_256(text).hex()
    assert events == [("System", "Remarked", {"sender": PAYER, "hash": digest})]
    assert execute_call(new_draft(), PAYER, decoded_call("System", "remark", remark=text)) == []
