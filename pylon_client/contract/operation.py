"""What an operation is: one row of the table of all that can be asked."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from pylon_client.contract.topology import SMALL_REQUEST_MAX_BYTES

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
        path: the REST path behind the prefix of its scope; `{names}` are fields of `params`. Empty
            for what only NATS carries.
        method: the HTTP method.
        per_subnet: whether it reads one subnet; otherwise it reads the chain, in open scope only.
        identity_only: whether it needs an identity, and so has no open form.
        success_status: the HTTP status of a successful answer.
        request_max_bytes: how large a request's body may be over NATS.
        immutable_at_block: whether the answer at one block never changes.
    """

    name: str
    summary: str
    params: type[ParamsT_co]
    reply: type[ReplyT_co]
    path: str
    method: str = "GET"
    per_subnet: bool = True
    identity_only: bool = False
    success_status: int = 200
    request_max_bytes: int = SMALL_REQUEST_MAX_BYTES
    immutable_at_block: bool = True

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """In which scopes it can be asked, always in the same order."""
        if self.identity_only:
            return (Scope.IDENTITY,)
        return tuple(Scope) if self.per_subnet else (Scope.OPEN,)

    def rest_path(self, scope: Scope) -> str:
        """The REST path template in a scope."""
        if not self.per_subnet:
            return f"{API_PREFIX}{self.path}"
        prefix = OPEN_SUBNET_PREFIX if scope is Scope.OPEN else IDENTITY_SUBNET_PREFIX
        return f"{prefix}{self.path}"
