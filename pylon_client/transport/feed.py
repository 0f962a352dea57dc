"""Events as they are published: the newest one first, then every one that comes.

A feed subscribes first, then asks for the last value, then drops what is not newer than what it
gave already: so nothing falls between the two. Whenever messages may have been missed, after a
reconnect or since they were taken too slowly, it asks for the last value again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.client import JetStreamContext

from pylon_client.contract import headers as wire_headers
from pylon_client.contract import wire
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.operations import LATEST_BLOCK, LATEST_NEURONS
from pylon_client.contract.subjects import (
    BlockEventSubject,
    NeuronsEventSubject,
    OpenSubject,
    parse,
)
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockHash, BlockNumber
from pylon_client.transport.connection import Connection

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

logger = logging.getLogger(__name__)

PENDING_MAX_MSGS: Final = 256
PENDING_MAX_BYTES: Final = 64 * 1024 * 1024
LAST_TIMEOUT_S: Final = 10.0
RETRY_FIRST_WAIT_S: Final = 0.1
RETRY_LONGEST_WAIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One published value, as it came.

    Attributes:
        subject: what it is a value of.
        block: the block that it was read at.
        body: the JSON that was published.
    """

    subject: str
    block: Block
    body: bytes


LastValue = Callable[[str], Awaitable[FeedEvent | None]]
"""The newest value of a subject, None when there is none yet; raises FailureError."""


def last_in_stream(connection: Connection) -> LastValue:
    """The last values as the stream keeps them; only workers may ask it.

    NATS delivers JetStream's answers to any subject that the asker names, even to JetStream's own
    API: so this right is not given to clients.
    """
    context = JetStreamContext(connection.nats, timeout=LAST_TIMEOUT_S)

    async def last(subject: str) -> FeedEvent | None:
        try:
            found = await context.get_last_msg(EVENTS.name, subject, direct=True)
        except nats.js.errors.NotFoundError:
            return None
        except (nats.errors.Error, OSError) as error:
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE,
                f"The event stream does not answer: {type(error).__name__}.",
            ) from None
        headers = cast("dict[str, str]", found.headers or {})  # pyright: ignore[reportUnknownMemberType] -- the library says no more than dict
        return _event(found.subject or subject, headers, found.data or b"")

    return last


def last_by_request(connection: Connection) -> LastValue:
    """The last values as workers answer them, to anybody with open access."""

    async def last(subject: str) -> FeedEvent | None:
        match parse(subject):
            case BlockEventSubject():
                asked = OpenSubject(None, LATEST_BLOCK.name)
            case NeuronsEventSubject(netuid):
                asked = OpenSubject(netuid, LATEST_NEURONS.name)
            case _:
                raise FailureError(ErrorCode.INVALID, f"{subject!r} has no events.")
        try:
            reply = await connection.request(str(asked), timeout_s=LAST_TIMEOUT_S)
        except FailureError as error:
            if error.code is ErrorCode.NOT_FOUND:
                return None
            raise
        found = wire.decode(reply.body)
        return FeedEvent(subject, Block.model_validate(found.get("block", found)), reply.body)

    return last


class EventFeed:
    """`async with EventFeed(…) as feed:` then `async for event in feed:`, newer ones only.

    A slow reader gets the newest value at last, not every one: what it did not take in time is
    dropped and counted (`Connection.counts`).

    Args:
        connection: where to listen; it may break and come back.
        subjects: event subjects. After a gap, the last value is asked for of each that is no
            wildcard, and of each that a value has come of.
        last: how to ask for a last value.
        pending_max_msgs: how many events may wait for the reader, per subject.

    Attributes:
        skipped: messages that were no events of this contract.
        retries: how often a last value could not be had, and was asked for again later.
    """

    def __init__(
        self,
        connection: Connection,
        subjects: Sequence[str],
        last: LastValue,
        *,
        pending_max_msgs: int = PENDING_MAX_MSGS,
    ) -> None:
        self.skipped = 0
        self.retries = 0
        self._connection = connection
        self._subjects = tuple(subjects)
        self._last = last
        self._pending_max_msgs = pending_max_msgs
        self._given: dict[str, BlockNumber] = {}
        # Events wait in the subscriptions, whose bound is known; here is only the next one.
        self._next: asyncio.Queue[FeedEvent] = asyncio.Queue(maxsize=1)
        self._coming: asyncio.Task[FeedEvent] | None = None
        self._gap = asyncio.Event()
        self._subscriptions: list[Subscription] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._forget_gap: Callable[[], None] = lambda: None

    async def __aenter__(self) -> Self:
        self._forget_gap = self._connection.on_gap(self._gap.set)
        for subject in self._subjects:
            self._subscriptions.append(
                await self._connection.subscribe(
                    subject,
                    self._take,
                    pending_max_msgs=self._pending_max_msgs,
                    pending_max_bytes=PENDING_MAX_BYTES,
                )
            )
        await self._connection.nats.flush()
        self._gap.set()
        self._tasks = [
            asyncio.create_task(self._fill_gaps()),
            asyncio.create_task(self._connection.closed.wait()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._forget_gap()
        await _cancelled(*self._tasks, *([self._coming] if self._coming else []))
        for subscription in self._subscriptions:
            if not self._connection.nats.is_closed and not self._connection.nats.is_draining:
                await subscription.unsubscribe()
        self._subscriptions.clear()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FeedEvent:
        """The next event that is newer than all of its subject before.

        Raises:
            FailureError: NATS_UNAVAILABLE, when the connection has ended for good.
        """
        while True:
            event = await self._next_or_closed()
            given = self._given.get(event.subject)
            if given is None or event.block.number > given:
                self._given[event.subject] = event.block.number
                return event

    async def _next_or_closed(self) -> FeedEvent:
        # Kept when the reader is cancelled, so that the event in it is not lost.
        self._coming = self._coming or asyncio.create_task(self._next.get())
        await asyncio.wait([self._coming, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        if self._coming.done():
            coming, self._coming = self._coming, None
            return coming.result()
        for task in self._tasks:
            if task.done():
                task.result()
        raise FailureError(ErrorCode.NATS_UNAVAILABLE, "The connection to NATS has ended.")

    async def _take(self, message: Msg) -> None:
        event = _event(message.subject, message.headers or {}, message.data)
        if event is None:
            self.skipped += 1
        else:
            await self._next.put(event)

    async def _fill_gaps(self) -> None:
        while True:
            await self._gap.wait()
            self._gap.clear()
            filling = asyncio.create_task(self._fill_all())
            another = asyncio.create_task(self._gap.wait())
            try:
                # A subject that cannot be filled must not hold up the others after another gap.
                await asyncio.wait([filling, another], return_when=asyncio.FIRST_COMPLETED)
                if filling.done():
                    filling.result()
            finally:
                await _cancelled(filling, another)

    async def _fill_all(self) -> None:
        literal = {subject for subject in self._subjects if "*" not in subject}
        await asyncio.gather(*(self._fill(subject) for subject in literal | set(self._given)))

    async def _fill(self, subject: str) -> None:
        wait_s = RETRY_FIRST_WAIT_S
        while True:
            try:
                event = await self._last(subject)
            except FailureError as error:
                self.retries += 1
                logger.info("The last value of %s cannot be had now: %s", subject, error)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, RETRY_LONGEST_WAIT_S)
            else:
                if event is not None:
                    await self._next.put(event)
                return


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _event(subject: str, headers: Mapping[str, str], body: bytes) -> FeedEvent | None:
    try:
        number = BlockNumber(int(headers[wire_headers.BLOCK_NUMBER]))
        block_hash = BlockHash(headers[wire_headers.BLOCK_HASH])
    except (LookupError, ValueError):
        return None
    return FeedEvent(subject, Block(number=number, hash=block_hash), body)
