"""The table of all operations, from which routes, subjects, handlers and clients are built."""

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel

from pylon_client.contract import reads
from pylon_client.contract.deprecated_names import deprecated_names
from pylon_client.contract.event_replay import EVENT_OPERATIONS
from pylon_client.contract.operation import (
    API_PREFIX,
    NoParams,
    Operation,
    Params,
    Scope,
)
from pylon_client.contract.reads import (
    LATEST_BLOCK,
    LATEST_NEURONS,
    NEURONS_AT,
    READ_OPERATIONS,
    BlockParams,
)
from pylon_client.contract.writes import WRITE_OPERATIONS

__all__ = [
    "API_PREFIX",
    "JOB_OPERATIONS",
    "LATEST_BLOCK",
    "LATEST_NEURONS",
    "NATS_OPERATIONS",
    "NEURONS_AT",
    "OPERATIONS",
    "OPERATIONS_BY_NAME",
    "BlockParams",
    "NoParams",
    "Operation",
    "Params",
    "Scope",
]

if not TYPE_CHECKING:  # type checkers report the old name
    __getattr__ = deprecated_names(__name__, {"AtBlock": BlockParams})

OPERATIONS: Final[tuple[Operation[Params, BaseModel], ...]] = (
    *READ_OPERATIONS,
    *WRITE_OPERATIONS,
)
"""Operations over REST and NATS."""
NATS_OPERATIONS: Final[tuple[Operation[Params, BaseModel], ...]] = (
    *OPERATIONS,
    *EVENT_OPERATIONS,
)
"""All operations over NATS."""
JOB_OPERATIONS: Final = frozenset(
    operation.name for operation in (*WRITE_OPERATIONS, reads.WEIGHTS_STATUS)
)
"""Names of the operations on jobs, to which only signers reply."""
OPERATIONS_BY_NAME: Final = {operation.name: operation for operation in NATS_OPERATIONS}


def is_read(subject: str) -> bool:
    """Return whether requests on a subject are reads, which may be retried."""
    match subject.split(".", 4):
        case ["pylon", "v1", "open" | "identity", _, name]:
            operation = OPERATIONS_BY_NAME.get(name)
            return operation is not None and operation.method == "GET"
        case _:
            return False


def needs_signer(subject: str) -> bool:
    """Return whether only signers reply to requests on a subject."""
    match subject.split(".", 4):
        case ["pylon", "v1", "identity", _, operation]:
            return operation in JOB_OPERATIONS
        case _:
            return False
