"""`AuraApi` and `AccountNonceApi`; methods that depend on the node are in `node_rpc`."""

from collections.abc import Callable
from typing import Any

from pylon_devnet.chain_state import StateReader


def _nonce(state: StateReader, account: str) -> int:
    return int(state.get("System", "Account", account)["nonce"])


def _authorities(_state: StateReader) -> list[Any]:
    return []


API_METHODS: dict[str, Callable[..., Any]] = {
    "AccountNonceApi_account_nonce": _nonce,
    "AuraApi_authorities": _authorities,
}
