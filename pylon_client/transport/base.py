"""The seam between what is asked and how it travels."""

import uuid
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from pylon_client.contract.operations import NoParams, Operation, Params, Scope
from pylon_client.contract.types import NetUid, NetUidField
from pylon_client.errors import PylonResponseException

ReplyT = TypeVar("ReplyT", bound=BaseModel)
ReplyT_co = TypeVar("ReplyT_co", bound=BaseModel, covariant=True)
_NETUID: TypeAdapter[NetUid] = TypeAdapter(NetUidField, config=ConfigDict(strict=True))
_NO_PARAMS: Final = NoParams()


@dataclass(frozen=True, slots=True)
class Call(Generic[ReplyT_co]):
    """One thing that a user of the client asks for.

    Attributes:
        operation: what is asked.
        scope: under whose authority; an identity's subnet is the service's to know.
        netuid: which subnet, in open scope; None for the chain, and in identity scope.
        params: what the operation needs besides.
        idempotency_key: of a write: what is sent again under the same key is done once.

    Raises:
        ValueError: at construction, for a netuid that cannot be one.
    """

    operation: Operation[Params, ReplyT_co]
    scope: Scope
    netuid: NetUid | None = None
    params: Params = _NO_PARAMS
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        if self.scope is Scope.OPEN and self.operation.of_subnet:
            _NETUID.validate_python(self.netuid)

    def read(self, body: bytes) -> ReplyT_co:
        """The reply in the body of a successful answer.

        Raises:
            PylonResponseException: the body is not what this operation replies.
        """
        try:
            return self.operation.reply.model_validate_json(body)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, wrong["loc"])) or "the whole of it"
            raise PylonResponseException(
                f"Pylon's reply to {self.operation.name} is not what the contract says",
                detail=f"{where}: {wrong['msg']}",
            ) from error


def new_idempotency_key() -> str:
    """A key that no other write has."""
    return uuid.uuid4().hex


class Transport(Protocol):
    """What carries calls to Pylon; used from one event loop."""

    async def open(self) -> None:
        """Make ready; connections may be made later, when they are first needed."""
        ...

    async def close(self) -> None:
        """Let go of every connection; calls under way end with an error."""
        ...

    async def ask(self, call: Call[BaseModel]) -> bytes:
        """The body of the successful answer to one attempt of a call.

        Raises:
            BasePylonException: there is none; the same for the same cause on every transport.
        """
        ...
