"""A fake Pylon for tests of programs that use the client.

    from pylon_client.testing import FakePylon, reads, sample_neurons

    async def test_my_validator() -> None:
        pylon = FakePylon()
        pylon.answer(reads.LATEST_NEURONS, sample_neurons(count=3))
        pylon.fail(reads.LATEST_NEURONS, ErrorCode.CHAIN_UNAVAILABLE, times=1)
        async with pylon.async_client() as client:
            await my_validator(client)
        assert pylon.calls[0].netuid == 1

The client is the real one: it retries, encodes, decodes and raises as over HTTP and NATS, but its
retries have no delay.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from tenacity import wait_none

from pylon_client._async.client import AsyncPylonClient
from pylon_client._sync.client import PylonClient
from pylon_client.config import AsyncConfig, Config
from pylon_client.contract import json_codec, operations, reads, writes
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.jobs import Job
from pylon_client.contract.models import BlockInfo, NeuronChanges, SubnetNeurons
from pylon_client.contract.operation import Operation, Params
from pylon_client.contract.subjects import (
    BlockEventSubject,
    ChangesEventSubject,
    NeuronsEventSubject,
)
from pylon_client.contract.types import BlockNumber, JobId, NetUid
from pylon_client.errors import BasePylonException, PylonRequestException, failure_exception
from pylon_client.retry import ASYNC_DEFAULT_RETRIES, DEFAULT_RETRIES
from pylon_client.samples import sample_block, sample_block_info, sample_neuron, sample_neurons
from pylon_client.transport import OperationCall, ReplyT, StreamItem, StreamSpec

__all__ = [
    "FakePylon",
    "operations",
    "reads",
    "sample_block",
    "sample_block_info",
    "sample_neuron",
    "sample_neurons",
    "writes",
]

_ADDRESS = "http://pylon.invalid"
_ALWAYS = -1
_StreamKey = BlockEventSubject | NeuronsEventSubject | ChangesEventSubject | JobId
_IDENTITY = {"identity_name": "sn1", "identity_token": "token-of-sn1"}


@dataclass(slots=True)
class _QueuedFailure:
    """An error for the next attempts, and the number of them."""

    error: BasePylonException
    remaining: int


@dataclass(eq=False, slots=True)
class _Listener:
    """One open stream, and the event loop of its client."""

    loop: asyncio.AbstractEventLoop
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_broken: bool = False


class FakePylon:
    """A fake Pylon for one test.

    Attributes:
        calls: all attempts in order, retries included.
    """

    def __init__(self) -> None:
        self.calls: list[OperationCall[BaseModel]] = []
        self._answers: dict[str, Callable[[OperationCall[Any]], BaseModel]] = {}
        self._failures: dict[str, list[_QueuedFailure]] = {}
        self._items: dict[_StreamKey, list[StreamItem]] = {}
        self._listeners: set[_Listener] = set()

    def answer(
        self,
        operation: Operation[Params, ReplyT],
        reply: ReplyT | Callable[[OperationCall[ReplyT]], ReplyT],
    ) -> None:
        """Set the reply to an operation, in all scopes.

        Args:
            operation: one of `reads` or `writes`.
            reply: the reply, or a function that returns it for a call; its exceptions are raised
                to the caller.

        Raises:
            TypeError: the reply is not an instance of the operation's model.
        """
        if isinstance(reply, BaseModel):
            constant = _require_reply_type(operation, reply)
            self._answers[operation.name] = lambda _: constant
        else:
            self._answers[operation.name] = reply

    def fail(
        self,
        operation: Operation[Params, BaseModel],
        failure: ErrorCode | BasePylonException,
        *,
        times: int | None = 1,
    ) -> None:
        """Fail the next attempts of an operation, after earlier failures.

        Args:
            operation: one of `reads` or `writes`.
            failure: a code of Pylon, or an exception of the client.
            times: the number of attempts; None for all.
        """
        error = (
            failure_exception(None, code=failure, detail="A test said so.")
            if isinstance(failure, ErrorCode)
            else failure
        )
        remaining = _ALWAYS if times is None else times
        self._failures.setdefault(operation.name, []).append(_QueuedFailure(error, remaining))

    def publish(
        self, value: BlockInfo | SubnetNeurons | NeuronChanges, netuid: NetUid | None = None
    ) -> None:
        """Publish a value on a stream, for current and later subscribers.

        Args:
            value: a block for `blocks()`, neurons for `neuron_snapshots(netuid)`, or changes for
                `neuron_changes(netuid)`.
            netuid: the subnet of the neurons or changes.
        """
        block = value if isinstance(value, BlockInfo) else value.block
        key = _stream_of(value, netuid).subject
        self._items.setdefault(key, []).append(StreamItem(block.number, json_codec.encode(value)))
        self._wake_listeners()

    def publish_job(self, job: Job) -> None:
        """Publish a change of a job, for current and later subscribers.

        Without published changes, `wait_for_job` polls: set a reply to `writes.GET_JOB`.
        """
        self._items.setdefault(job.job_id, []).append(
            StreamItem(BlockNumber(len(self._items.get(job.job_id, ()))), json_codec.encode(job))
        )
        self._wake_listeners()

    def break_streams(self) -> None:
        """Break all open streams, as a restart of the service does."""
        for listener in self._listeners:
            listener.is_broken = True
        self._wake_listeners()

    def async_client(self, **fields: Any) -> AsyncPylonClient:
        """Return an asynchronous client of this Pylon, by default with the identity `sn1`.

        Args:
            fields: fields of the client's `AsyncConfig`.
        """
        fields = {"retry": ASYNC_DEFAULT_RETRIES.copy(wait=wait_none()), **_IDENTITY, **fields}
        return AsyncPylonClient(AsyncConfig(address=_ADDRESS, **fields), transport=self)

    def client(self, **fields: Any) -> PylonClient:
        """Return a synchronous client of this Pylon, by default with the identity `sn1`.

        Args:
            fields: fields of the client's `Config`.
        """
        fields = {"retry": DEFAULT_RETRIES.copy(wait=wait_none()), **_IDENTITY, **fields}
        return PylonClient(Config(address=_ADDRESS, **fields), transport=self)

    async def open(self) -> None:
        """Implement `Transport.open`."""

    async def close(self) -> None:
        """Implement `Transport.close`."""

    async def ask(self, call: OperationCall[BaseModel]) -> bytes:
        """Implement `Transport.ask`.

        Raises:
            LookupError: the operation has no reply.
        """
        self.calls.append(call)
        name = call.operation.name
        failures = self._failures.get(name, [])
        if failures:
            failing = failures[0]
            failing.remaining -= 1
            if failing.remaining == 0:
                failures.pop(0)
            raise failing.error
        if name not in self._answers:
            raise LookupError(f"this FakePylon has no reply to {name}: call answer()")
        return json_codec.encode(_require_reply_type(call.operation, self._answers[name](call)))

    async def confirm(self) -> None:
        """Implement `Transport.confirm`."""

    @asynccontextmanager
    async def listen(
        self, stream: StreamSpec[BaseModel], after: BlockNumber | None
    ) -> AsyncGenerator[AsyncIterator[StreamItem]]:
        """Implement `Transport.listen`."""
        listener = _Listener(asyncio.get_running_loop())
        self._listeners.add(listener)
        try:
            published = self._items.setdefault(stream.subject, [])
            yield self._stream_items(published, after, listener)
        finally:
            self._listeners.discard(listener)

    @asynccontextmanager
    async def listen_to_job(self, job_id: JobId) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Implement `Transport.listen_to_job`.

        Raises:
            PylonRequestException: no change of the job was published.
        """
        if job_id not in self._items:
            raise PylonRequestException("this FakePylon has no published changes of the job")
        listener = _Listener(asyncio.get_running_loop())
        self._listeners.add(listener)
        try:
            values = self._stream_items(self._items[job_id], None, listener)
            yield (value.body async for value in values)
        finally:
            self._listeners.discard(listener)

    async def _stream_items(
        self, published: Sequence[StreamItem], after: BlockNumber | None, listener: _Listener
    ) -> AsyncGenerator[StreamItem]:
        if after is None and published:
            after = BlockNumber(published[-1].number - 1)
        while True:
            listener.changed.clear()
            if listener.is_broken:
                raise PylonRequestException("a test has broken the stream")
            value = next((one for one in published if after is None or one.number > after), None)
            if value is None:
                await listener.changed.wait()
            else:
                after = value.number
                yield value

    def _wake_listeners(self) -> None:
        # A test may publish from another thread than the one of the client's event loop.
        for listener in tuple(self._listeners):
            listener.loop.call_soon_threadsafe(listener.changed.set)


def _stream_of(
    value: BlockInfo | SubnetNeurons | NeuronChanges, netuid: NetUid | None
) -> StreamSpec[BaseModel]:
    if isinstance(value, BlockInfo):
        return StreamSpec(reads.LATEST_BLOCK)
    if isinstance(value, NeuronChanges):
        return StreamSpec(reads.NEURON_CHANGES, netuid)
    return StreamSpec(reads.LATEST_NEURONS, netuid)


def _require_reply_type(operation: Operation[Params, BaseModel], reply: BaseModel) -> BaseModel:
    if not isinstance(reply, operation.reply):
        raise TypeError(
            f"{operation.name} replies {operation.reply.__name__}, not {type(reply).__name__}"
        )
    return reply
