"""`AuraApi` and `AccountNonceApi`; `node_rpc` answers what depends on the node."""

from collections.abc import Callable
from typing import Any

from pylon_devnet.chain_state import State


def _nonce(state: State, account: str) -> int:
    return int(state.get("System", "Account", account)["nonce"])


def _authorities(_state: State) -> list[Any]:
    return []


ANSWERS: dict[str, Callable[..., Any]] = {
    "AccountNonceApi_account_nonce": _nonce,
    "AuraApi_authorities": _authorities,
}
