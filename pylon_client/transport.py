"""The seam between what is asked and how it travels."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pylon_client.contract import headers
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.operation import API_PREFIX, NoParams, Operation, Params, Scope
from pylon_client.contract.reads import LATEST_BLOCK
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber, JobId, NetUid, NetUidField
from pylon_client.errors import BasePylonException, PylonResponseException

ReplyT = TypeVar("ReplyT", bound=BaseModel)
ReplyT_co = TypeVar("ReplyT_co", bound=BaseModel, covariant=True)


class SubnetParams(BaseModel):
    """Checks a netuid, and names it where it cannot be one."""

    model_config = ConfigDict(strict=True)

    netuid: NetUidField


_NO_PARAMS: Final = NoParams()
_NO_WORKER_ERRORS: Final = frozenset(
    {
        ErrorCode.NATS_UNAVAILABLE,
        ErrorCode.SHUTTING_DOWN,
        ErrorCode.DEADLINE_EXCEEDED,
        ErrorCode.UNAUTHENTICATED,
        ErrorCode.FORBIDDEN,
    }
)
"""Failures that are told without a worker, or by one that is about to be gone."""


@dataclass(frozen=True, slots=True)
class OperationCall(Generic[ReplyT_co]):
    """One thing that a user of the client asks for.

    Attributes:
        operation: what is asked.
        scope: under whose authority; an identity's subnet is the service's to know.
        netuid: which subnet, in open scope; None for the chain, and in identity scope.
        params: what the operation needs besides.
        idempotency_key: of a write: what is sent again under the same key is done once.

    Raises:
        ValueError: at construction, for a netuid or an idempotency key that cannot be one.
    """

    operation: Operation[Params, ReplyT_co]
    scope: Scope
    netuid: NetUid | None = None
    params: Params = _NO_PARAMS
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        if self.scope is Scope.OPEN and self.operation.per_subnet:
            SubnetParams.model_validate({"netuid": self.netuid})
        key = self.idempotency_key
        if key is not None and not headers.is_idempotency_key(key):
            raise ValueError(f"an idempotency key should be {headers.IDEMPOTENCY_KEY_RULE}")

    def decode_reply(self, body: bytes) -> ReplyT_co:
        """The reply in the body of a successful answer.

        Raises:
            PylonResponseException: the body is not what this operation replies.
        """
        return _decode(self.operation, body)


@dataclass(frozen=True, slots=True)
class StreamSpec(Generic[ReplyT_co]):
    """Values that Pylon publishes at every block.

    Attributes:
        operation: the read whose replies they are.
        netuid: of which subnet; None for the chain's blocks themselves.

    Raises:
        ValueError: at construction, for a netuid that cannot be one.
    """

    operation: Operation[Params, ReplyT_co]
    netuid: NetUid | None = None

    def __post_init__(self) -> None:
        if self.operation.per_subnet:
            SubnetParams.model_validate({"netuid": self.netuid})

    @property
    def path(self) -> str:
        """Where REST has it."""
        if self.netuid is None:
            return f"{API_PREFIX}/block/stream"
        return f"{API_PREFIX}/subnet/{self.netuid}/neurons/stream"

    @property
    def subject(self) -> BlockEventSubject | NeuronsEventSubject:
        """Where NATS has it."""
        return BlockEventSubject() if self.netuid is None else NeuronsEventSubject(self.netuid)

    def decode_event(self, body: bytes) -> ReplyT_co:
        """The value in the body of an event.

        Raises:
            PylonResponseException: the body is not what this stream publishes.
        """
        return _decode(self.operation, body)


@dataclass(frozen=True, slots=True)
class StreamItem:
    """One value of a stream, as it came.

    Attributes:
        number: the block's.
        body: the JSON that was published.
        is_after_gap: whether values before it should have come, and cannot be had any more.
    """

    number: BlockNumber
    body: bytes
    is_after_gap: bool = False


def _decode(operation: Operation[Params, ReplyT], body: bytes) -> ReplyT:
    try:
        return operation.reply.model_validate_json(body)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, wrong["loc"])) or "the whole of it"
        raise PylonResponseException(
            f"Pylon's reply to {operation.name} is not what the contract says",
            detail=f"{where}: {wrong['msg']}",
        ) from error


async def confirm_with(send: Callable[[OperationCall[BaseModel]], Awaitable[bytes]]) -> None:
    """Return when a worker answers what any worker can be asked, be it with a failure.

    Raises:
        BasePylonException: none does, or we may not ask.
    """
    try:
        await send(OperationCall(LATEST_BLOCK, Scope.OPEN))
    except BasePylonException as error:
        if error.code is None or error.code in _NO_WORKER_ERRORS:
            raise


def idempotency_key_or_new(given: str | None) -> str:
    """A write's key: the caller's own, or else one that no other write has."""
    return uuid.uuid4().hex if given is None else given


class Transport(Protocol):
    """What carries calls to Pylon; used from one event loop."""

    async def open(self) -> None:
        """Make ready; connections may be made later, when they are first needed."""
        ...

    async def close(self) -> None:
        """Let go of every connection; calls under way end with an error."""
        ...

    async def ask(self, call: OperationCall[BaseModel]) -> bytes:
        """The body of the successful answer to one attempt of a call.

        Raises:
            BasePylonException: there is none; the same for the same cause on every transport.
        """
        ...

    async def confirm(self) -> None:
        """Return when a worker of Pylon answers, whatever it has to say of the chain.

        Raises:
            BasePylonException: none does, or we may not ask.
        """
        ...

    def listen(
        self, stream: StreamSpec[BaseModel], after: BlockNumber | None
    ) -> AbstractAsyncContextManager[AsyncIterator[StreamItem]]:
        """Within the block, the values after a block, or from the newest on, each once, in order.

        The block begins when Pylon has agreed to send them.

        Raises:
            BasePylonException: at the beginning, or when no more come: asked again after the last
                value, another one goes on from there, if the exception is retryable.
        """
        ...

    def listen_to_job(self, job_id: JobId) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Within the block, the bodies of a job of the identity: as it is, then after each change.

        A change may get lost, and the same body may come twice.

        Raises:
            BasePylonException: at the beginning, or when no more come.
        """
        ...
