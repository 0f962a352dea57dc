"""All that can be asked: the table that routes, subjects, handlers and clients are made from."""

from typing import Final

from pydantic import BaseModel

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
    AtBlock,
)

__all__ = [
    "API_PREFIX",
    "LATEST_BLOCK",
    "LATEST_NEURONS",
    "NEURONS_AT",
    "OPERATIONS",
    "OPERATIONS_BY_NAME",
    "AtBlock",
    "NoParams",
    "Operation",
    "Params",
    "Scope",
]

OPERATIONS: Final[tuple[Operation[Params, BaseModel], ...]] = (
    LATEST_BLOCK,
    LATEST_NEURONS,
    NEURONS_AT,
)
OPERATIONS_BY_NAME: Final = {operation.name: operation for operation in OPERATIONS}
