"""Paths of the operations in the unstable API of the published clients.

Each path is an alias of the operation's route. If the stable and the unstable API use the same path
for different forms of a reply, the unstable path returns the typed form.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from pylon_client.contract import reads
from pylon_client.contract.operation import Operation, Params, Scope

UNSTABLE_PREFIX: Final = "/api/_unstable"
IDENTITIES_PATH: Final = f"{UNSTABLE_PREFIX}{reads.IDENTITIES.path}"

_AnyOperation = Operation[Params, BaseModel]

_PATH_OVERRIDES: Final[Mapping[str, str | None]] = {
    reads.COMMITMENTS.name: None,
    reads.COMMITMENT.name: None,
    reads.OWN_COMMITMENT.name: None,
    reads.TYPED_COMMITMENTS.name: reads.COMMITMENTS.path,
    reads.TYPED_COMMITMENT.name: reads.COMMITMENT.path,
    reads.OWN_TYPED_COMMITMENT.name: reads.OWN_COMMITMENT.path,
}
_PREFIXES: Final[Mapping[Scope, tuple[str, ...]]] = {
    # Clients before 2.0 use the second prefix.
    Scope.OPEN: (
        f"{UNSTABLE_PREFIX}/openaccess/subnet/{{netuid}}",
        f"{UNSTABLE_PREFIX}/subnet/{{netuid}}",
    ),
    Scope.IDENTITY: (f"{UNSTABLE_PREFIX}/identity/{{identity_name}}/subnet/{{netuid}}",),
}
_CHAIN_PREFIXES: Final = (f"{UNSTABLE_PREFIX}/openaccess", UNSTABLE_PREFIX)


def unstable_paths(operation: _AnyOperation, scope: Scope) -> tuple[str, ...]:
    """Return the paths of an operation in the unstable API; empty if another operation has them."""
    path = _PATH_OVERRIDES.get(operation.name, operation.path)
    if path is None:
        return ()
    prefixes = _PREFIXES[scope] if operation.per_subnet else _CHAIN_PREFIXES
    return tuple(f"{prefix}{path}" for prefix in prefixes)


def needs_no_token(operation: _AnyOperation) -> bool:
    """Return whether the published clients call an operation without a token."""
    return operation.name == reads.LAST_DRAND_ROUND.name
