"""The interface between calls and the transports that carry them."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pylon_client.contract import headers
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.operation import API_PREFIX, NoParams, Operation, Params, Scope
from pylon_client.contract.reads import LATEST_BLOCK, NEURON_CHANGES
from pylon_client.contract.subjects import (
    BlockEventSubject,
    ChangesEventSubject,
    NeuronsEventSubject,
)
from pylon_client.contract.types import BlockNumber, JobId, NetUid, NetUidField
from pylon_client.errors import BasePylonException, PylonResponseException

ReplyT = TypeVar("ReplyT", bound=BaseModel)
ReplyT_co = TypeVar("ReplyT_co", bound=BaseModel, covariant=True)


class SubnetParams(BaseModel):
    """Validates a netuid; errors name the field `netuid`."""

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
"""Error codes that do not prove that a worker is running."""


@dataclass(frozen=True, slots=True)
class OperationCall(Generic[ReplyT_co]):
    """One call of an operation.

    Attributes:
        operation: the operation.
        scope: open access, or the configured identity, whose subnet the service knows.
        netuid: the subnet in open scope; None for the whole chain, and in identity scope.
        params: further parameters of the operation.
        idempotency_key: for writes: calls with the same key are one job.

    Raises:
        ValueError: at construction, for an invalid netuid or idempotency key.
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
        """Decode the body of a successful reply.

        Raises:
            PylonResponseException: the body does not match the operation's model.
        """
        return _decode(self.operation, body)


@dataclass(frozen=True, slots=True)
class StreamSpec(Generic[ReplyT_co]):
    """A stream of values that Pylon publishes for every block.

    Attributes:
        operation: the read whose replies have the same model; it determines the stream.
        netuid: the subnet; None for the stream of blocks.

    Raises:
        ValueError: at construction, for an invalid netuid.
    """

    operation: Operation[Params, ReplyT_co]
    netuid: NetUid | None = None

    def __post_init__(self) -> None:
        if self.operation.per_subnet:
            SubnetParams.model_validate({"netuid": self.netuid})

    @property
    def path(self) -> str:
        """Return the REST path of the stream."""
        if self.netuid is None:
            return f"{API_PREFIX}/block/stream"
        name = "neurons/changes" if self.operation is NEURON_CHANGES else "neurons"
        return f"{API_PREFIX}/subnet/{self.netuid}/{name}/stream"

    @property
    def subject(self) -> BlockEventSubject | NeuronsEventSubject | ChangesEventSubject:
        """Return the NATS subject of the stream's events."""
        if self.netuid is None:
            return BlockEventSubject()
        if self.operation is NEURON_CHANGES:
            return ChangesEventSubject(self.netuid)
        return NeuronsEventSubject(self.netuid)

    def decode_event(self, body: bytes) -> ReplyT_co:
        """Decode the body of an event.

        Raises:
            PylonResponseException: the body does not match the stream's model.
        """
        return _decode(self.operation, body)


@dataclass(frozen=True, slots=True)
class StreamItem:
    """One event of a stream.

    Attributes:
        number: the block number.
        body: the published JSON.
        is_after_gap: whether events before this one are missing and no longer available.
    """

    number: BlockNumber
    body: bytes
    is_after_gap: bool = False


def _decode(operation: Operation[Params, ReplyT], body: bytes) -> ReplyT:
    try:
        return operation.reply.model_validate_json(body)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, wrong["loc"])) or "the whole body"
        raise PylonResponseException(
            f"Pylon's reply to {operation.name} does not match the contract",
            detail=f"{where}: {wrong['msg']}",
        ) from error


async def confirm_with(send: Callable[[OperationCall[BaseModel]], Awaitable[bytes]]) -> None:
    """Return when a worker replies to a read, even with a failure.

    Args:
        send: sends one attempt of a call.

    Raises:
        BasePylonException: no worker replies, or the read is denied.
    """
    try:
        await send(OperationCall(LATEST_BLOCK, Scope.OPEN))
    except BasePylonException as error:
        if error.code is None or error.code in _NO_WORKER_ERRORS:
            raise


def idempotency_key_or_new(given: str | None) -> str:
    """Return the given idempotency key, or a new random one."""
    return uuid.uuid4().hex if given is None else given


class Transport(Protocol):
    """Carries calls to Pylon; used from one event loop."""

    async def open(self) -> None:
        """Prepare for calls; connections may be made on first use."""
        ...

    async def close(self) -> None:
        """Close all connections; calls in progress fail."""
        ...

    async def ask(self, call: OperationCall[BaseModel]) -> bytes:
        """Send one attempt of a call, and return the body of its successful reply.

        Raises:
            BasePylonException: the attempt failed; all transports raise the same exception for the
                same cause.
        """
        ...

    async def confirm(self) -> None:
        """Return when a worker replies, even if it cannot reach the chain.

        Raises:
            BasePylonException: no worker replies, or the request is denied.
        """
        ...

    def listen(
        self, stream: StreamSpec[BaseModel], after: BlockNumber | None
    ) -> AbstractAsyncContextManager[AsyncIterator[StreamItem]]:
        """Open a stream within the block; its iterator yields each event once, in order.

        The block starts when Pylon has accepted the subscription.

        Args:
            stream: the stream to open.
            after: the block after which to start; None starts with the newest event.

        Raises:
            BasePylonException: the stream could not be opened, or broke. If the exception is
                retryable, a new stream can resume after the last event.
        """
        ...

    def listen_to_job(self, job_id: JobId) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open the stream of one of the identity's jobs within the block.

        Its iterator yields the JSON of the current job, then of each change. A change may be lost
        or repeated.

        Raises:
            BasePylonException: the stream could not be opened, or broke.
        """
        ...
