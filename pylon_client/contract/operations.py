"""What can be asked: one table, from which routes, subjects, handlers and clients are made."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from pylon_client.contract.models import BlockInfo, SubnetNeurons
from pylon_client.contract.types import BlockNumberField

API_PREFIX: Final = "/api/v1"
OPEN_SUBNET_PREFIX: Final = f"{API_PREFIX}/subnet/{{netuid}}"
IDENTITY_SUBNET_PREFIX: Final = f"{API_PREFIX}/identity/{{identity_name}}/subnet/{{netuid}}"


class Scope(StrEnum):
    """Under whose authority something is asked."""

    OPEN = "open"
    IDENTITY = "identity"


class Params(BaseModel):
    """The JSON body of a request over NATS; over REST the same names stand in the path."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NoParams(Params):
    """Nothing but the subject is needed."""


class AtBlock(Params):
    """Which block to read at."""

    block_number: BlockNumberField


ParamsT_co = TypeVar("ParamsT_co", bound=Params, covariant=True)
ReplyT_co = TypeVar("ReplyT_co", bound=BaseModel, covariant=True)


@dataclass(frozen=True, slots=True)
class Operation(Generic[ParamsT_co, ReplyT_co]):
    """One thing that can be asked.

    Attributes:
        name: the end of its NATS subjects.
        summary: one line for the API's documentation.
        params: what the request carries beside its subject.
        reply: the model of the body of a successful reply.
        method: the HTTP method.
        path: the REST path behind the prefix of its scope; `{names}` are fields of `params`.
        of_subnet: whether it reads one subnet; otherwise it reads the chain, in open scope only.
        success_status: the HTTP status of a successful answer.
    """

    name: str
    summary: str
    params: type[ParamsT_co]
    reply: type[ReplyT_co]
    method: str
    path: str
    of_subnet: bool = True
    success_status: int = 200

    @property
    def scopes(self) -> frozenset[Scope]:
        """In which scopes it can be asked."""
        return frozenset(Scope) if self.of_subnet else frozenset({Scope.OPEN})

    def rest_path(self, scope: Scope) -> str:
        """The REST path template in a scope."""
        if not self.of_subnet:
            return f"{API_PREFIX}{self.path}"
        prefix = OPEN_SUBNET_PREFIX if scope is Scope.OPEN else IDENTITY_SUBNET_PREFIX
        return f"{prefix}{self.path}"


LATEST_BLOCK: Final = Operation(
    name="block.latest",
    summary="The latest block and its timestamp",
    params=NoParams,
    reply=BlockInfo,
    method="GET",
    path="/block/latest",
    of_subnet=False,
)
LATEST_NEURONS: Final = Operation(
    name="neurons.latest",
    summary="All neurons of a subnet at the latest block",
    params=NoParams,
    reply=SubnetNeurons,
    method="GET",
    path="/block/latest/neurons",
)
NEURONS_AT: Final = Operation(
    name="neurons.at",
    summary="All neurons of a subnet at a block",
    params=AtBlock,
    reply=SubnetNeurons,
    method="GET",
    path="/block/{block_number}/neurons",
)

OPERATIONS: Final[tuple[Operation[Params, BaseModel], ...]] = (
    LATEST_BLOCK,
    LATEST_NEURONS,
    NEURONS_AT,
)
OPERATIONS_BY_NAME: Final = {operation.name: operation for operation in OPERATIONS}
