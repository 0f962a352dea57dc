"""Operations: the rows of the table of all reads and writes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from pylon_client.contract.topology import MAX_SMALL_REQUEST_BYTES

API_PREFIX: Final = "/api/v1"
OPEN_SUBNET_PREFIX: Final = f"{API_PREFIX}/subnet/{{netuid}}"
IDENTITY_SUBNET_PREFIX: Final = f"{API_PREFIX}/identity/{{identity_name}}/subnet/{{netuid}}"


class Scope(StrEnum):
    """Whether a call uses open access or an identity."""

    OPEN = "open"
    IDENTITY = "identity"


class Params(BaseModel):
    """Parameters of an operation: the JSON body over NATS, path and query parameters over REST."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NoParams(Params):
    """No parameters beside the subject."""


ParamsT_co = TypeVar("ParamsT_co", bound=Params, covariant=True)
ReplyT_co = TypeVar("ReplyT_co", bound=BaseModel, covariant=True)


@dataclass(frozen=True, slots=True)
class Operation(Generic[ParamsT_co, ReplyT_co]):
    """A read or a write.

    Attributes:
        name: the last tokens of its NATS subjects.
        summary: one line for the API's documentation.
        params: the model of its parameters.
        reply: the model of the body of a successful reply.
        path: the REST path after the prefix of the scope; `{names}` are fields of `params`. Empty
            for operations without an HTTP endpoint.
        method: the HTTP method.
        per_subnet: whether it is about one subnet; otherwise about the chain, in open scope only.
        identity_only: whether it requires an identity.
        success_status: the HTTP status of a successful response.
        max_request_bytes: maximum size of a request's body over NATS.
        immutable_at_block: whether the reply for one block never changes.
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
    max_request_bytes: int = MAX_SMALL_REQUEST_BYTES
    immutable_at_block: bool = True

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Return the scopes of the operation, always in the same order."""
        if self.identity_only:
            return (Scope.IDENTITY,)
        return tuple(Scope) if self.per_subnet else (Scope.OPEN,)

    def rest_path(self, scope: Scope) -> str:
        """Return the template of the REST path in a scope."""
        if not self.per_subnet:
            return f"{API_PREFIX}{self.path}"
        prefix = OPEN_SUBNET_PREFIX if scope is Scope.OPEN else IDENTITY_SUBNET_PREFIX
        return f"{prefix}{self.path}"
