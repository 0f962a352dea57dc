"""Transfers of TAO, and remarks."""

from typing import Any

from pylon_devnet.calls.dispatch import CallHandler, DecodedCall, DispatchContext, DispatchError
from pylon_devnet.chain_state import Draft, StateReader
from pylon_devnet.codec import blake2b_256
from pylon_devnet.runtime.scale_encoding import decode_compact

EXISTENTIAL_DEPOSIT_RAO = 500


def free_balance(state: StateReader, address: str) -> int:
    """Return the free balance of an account, in rao."""
    return int(state.get("System", "Account", address)["data"]["free"])


def set_free_balance(draft: Draft, address: str, free_rao: int) -> None:
    """Set the free balance of an account, in rao."""
    account = dict(draft.get("System", "Account", address))
    account["data"] = {**account["data"], "free": free_rao}
    account["providers"] = max(1, account["providers"])
    draft.put("System", "Account", address, account)


def withdraw(dispatch: DispatchContext, address: str, amount_rao: int) -> bool:
    """Withdraw TAO from an account; return False if its balance is too low."""
    free = free_balance(dispatch.draft, address)
    if free < amount_rao:
        return False
    set_free_balance(dispatch.draft, address, free - amount_rao)
    dispatch.emit("Balances", "Withdraw", {"who": address, "amount": amount_rao})
    return True


def _transfer(dispatch: DispatchContext, call: DecodedCall) -> None:
    _move(dispatch, call, int(call.arguments["value"]), keep_alive=call.function.endswith("alive"))


def _transfer_all(dispatch: DispatchContext, call: DecodedCall) -> None:
    keep_alive = bool(call.arguments["keep_alive"])
    free = free_balance(dispatch.draft, dispatch.ensure_signed())
    amount = free - EXISTENTIAL_DEPOSIT_RAO if keep_alive else free
    _move(dispatch, call, max(0, amount), keep_alive=keep_alive)


def _move(
    dispatch: DispatchContext, call: DecodedCall, amount_rao: int, *, keep_alive: bool
) -> None:
    draft, source = dispatch.draft, dispatch.ensure_signed()
    destination = address_of(call.arguments["dest"])
    left = free_balance(draft, source) - amount_rao
    if left < 0:
        raise DispatchError("Token", None, "FundsUnavailable")
    if keep_alive and left < EXISTENTIAL_DEPOSIT_RAO:
        raise DispatchError("Token", None, "NotExpendable")
    received = free_balance(draft, destination) + amount_rao
    if received < EXISTENTIAL_DEPOSIT_RAO:
        raise DispatchError("Token", None, "BelowMinimum")
    if source != destination:
        set_free_balance(draft, source, left)
        set_free_balance(draft, destination, received)
    event = {"from": source, "to": destination, "amount": amount_rao}
    dispatch.emit("Balances", "Transfer", event)


def address_of(destination: Any) -> str:
    """Return the account of a `MultiAddress`.

    Raises:
        DispatchError: it is another variant than `Id`.
    """
    named = destination.get("Id") if isinstance(destination, dict) else destination  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - decoded
    if not isinstance(named, str):
        raise DispatchError("CannotLookup", None)
    return named


def _remark(_dispatch: DispatchContext, _call: DecodedCall) -> None:
    return


def _remark_with_event(dispatch: DispatchContext, call: DecodedCall) -> None:
    remark = call.raw["remark"]
    _, offset = decode_compact(remark, 0)
    digest = "0x" + blake2b_256(remark[offset:]).hex()
    dispatch.emit("System", "Remarked", {"sender": dispatch.ensure_signed(), "hash": digest})


HANDLERS: dict[str, CallHandler] = {
    "Balances.transfer_allow_death": _transfer,
    "Balances.transfer_keep_alive": _transfer,
    "Balances.transfer_all": _transfer_all,
    "System.remark": _remark,
    "System.remark_with_event": _remark_with_event,
}
