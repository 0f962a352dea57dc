"""`ReadSpec`: how a read is executed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from pydantic import BaseModel

from pylon.chain.query import AnyQuery
from pylon.reads.read_query import ReadQuery
from pylon.rpc.calls import ParamsT
from pylon_client.contract.operations import Operation


@dataclass(frozen=True, slots=True)
class ReadSpec(Generic[ParamsT]):
    """How a read is executed.

    Attributes:
        operation: the read.
        query: returns the query to the chain; `pylon.chain.queries` executes it.
        project: returns the reply's JSON values from the JSON values of the query's result; None if
            the reply is the whole result.
        uses_own_hotkey: whether it reads the calling identity's own hotkey.
    """

    operation: Operation[ParamsT, BaseModel]
    query: Callable[[ReadQuery[ParamsT]], AnyQuery]
    project: Callable[[dict[str, Any], ReadQuery[ParamsT]], dict[str, Any]] | None = None
    uses_own_hotkey: bool = False
