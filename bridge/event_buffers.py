"""Events from NATS for all who stream them: one subscription per subject, whoever listens."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import nats.errors
from nats.aio.msg import Msg

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockNumber
from pylon_client.events.feed import EventFeed, FeedEvent, event_log_via_worker
from pylon_client.events.stored_events import EventLogReader
from pylon_client.log_limit import LogLimit
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

BUFFER_SIZE: Final = EVENTS.max_msgs_per_subject
RETRY_DELAY_S: Final = 0.5
FORBIDDEN_RETRY_DELAY_S: Final = 10.0
"""Permissions are changed by people: it is of no use to try as often as after a break."""

EventSource = Callable[[str], AsyncGenerator[Sequence[FeedEvent]]]
"""The values of a subject in order, without an end: first all that are kept, then those that come.

Each time it gives what there is; so after the first time, the newest value is known."""


async def follow_subject(
    get_connection: Callable[[], Awaitable[NatsConnection]], subject: str
) -> AsyncGenerator[Sequence[FeedEvent]]:
    """The values of a subject, over one connection after the other, each once and in order."""
    given: BlockNumber | None = None
    log_limit = LogLimit()
    while True:
        connection = await get_connection()
        kept = event_log_via_worker(connection)
        try:
            newest = await kept(subject)
            until = -1 if newest is None else newest.block.number
            after = await _number_before_oldest(kept, subject, until) if given is None else given
            async with EventFeed(connection, [subject], kept, after=after) as feed:
                behind: list[FeedEvent] = []
                async for event in feed:
                    behind.append(event)
                    if event.block.number >= until:
                        given = event.block.number
                        yield behind
                        behind = []
        except (FailureError, nats.errors.Error, OSError) as error:
            if isinstance(error, FailureError) and error.code is ErrorCode.FORBIDDEN:
                level = logging.ERROR if log_limit.is_due(str(error)) else logging.DEBUG
                logger.log(level, "No events of %s for listeners: %s", subject, error)
                await asyncio.sleep(FORBIDDEN_RETRY_DELAY_S)
            else:
                logger.info("The events of %s break off: %s", subject, error)
        await asyncio.sleep(RETRY_DELAY_S)


async def _number_before_oldest(
    event_log: EventLogReader, subject: str, until: int
) -> BlockNumber | None:
    """The number before the oldest value to begin with; None where nothing was published yet."""
    oldest = await event_log(subject, BlockNumber(max(0, until - BUFFER_SIZE)))
    return None if oldest is None else BlockNumber(oldest.block.number - 1)


@asynccontextmanager
async def subscribe(
    connection: NatsConnection, subject: str, callback: Callable[[bytes], None]
) -> AsyncGenerator[None]:
    """Within the block, `callback` is given what is published on a subject; some of it may get lost.

    Raises:
        FailureError: NATS_UNAVAILABLE, since nothing can be heard now.
    """

    async def on_message(message: Msg) -> None:
        callback(message.data)

    try:
        subscription = await connection.subscribe(subject, on_message)
    except (nats.errors.Error, OSError):
        raise FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no connection to NATS.") from None
    try:
        yield
    finally:
        # With a connection that is gone, so is the subscription.
        with suppress(nats.errors.Error, OSError):
            await subscription.unsubscribe()


@dataclass(frozen=True, slots=True)
class SseFrame:
    """One value of a stream.

    Attributes:
        number: the block's.
        data: how it goes out, made once for all who get it.
    """

    number: BlockNumber
    data: bytes


class EventBuffer:
    """The last values of one subject, as many as the event stream itself keeps.

    Listeners have no queues: each knows how far it has come, and takes what follows from here.
    So a slow one costs no memory, and catches up by itself unless it falls behind by more than is
    kept.

    Args:
        encode: makes of an event what goes out; raises ValueError where it cannot be read.
        on_unreadable: called for each event that cannot be read.

    Attributes:
        ended: set when there will be no more values, since the bridge stops or they failed.
    """

    def __init__(
        self,
        encode: Callable[[FeedEvent], bytes],
        on_unreadable: Callable[[], None] = lambda: None,
    ) -> None:
        self.ended = False
        self._encode = encode
        self._on_unreadable = on_unreadable
        self._log_limit = LogLimit()
        self._frames: deque[SseFrame] = deque(maxlen=BUFFER_SIZE)
        self._changed = asyncio.Event()

    @property
    def newest(self) -> SseFrame | None:
        """The newest value; None while there was none."""
        return self._frames[-1] if self._frames else None

    def add(self, *events: FeedEvent) -> None:
        """Keep values that are newer than all before, and wake whoever waits for them."""
        for event in events:
            try:
                self._frames.append(SseFrame(event.block.number, self._encode(event)))
            except ValueError:
                self._on_unreadable()
                if self._log_limit.is_due("unreadable"):
                    logger.warning(
                        *("Block %d of %s cannot be read", event.block.number, event.subject)
                    )
        self._notify()

    def end(self) -> None:
        """Let whoever waits know that nothing more comes."""
        self.ended = True
        self._notify()

    def after(self, number: BlockNumber | None) -> SseFrame | None:
        """The first value after a block, or the newest of all; None where it is still to come."""
        if number is None:
            return self.newest
        return next((value for value in self._frames if value.number > number), None)

    def is_oldest(self, value: SseFrame) -> bool:
        """Whether what came before a value is no longer kept."""
        return value is self._frames[0]

    async def wait_for_change(self, timeout_s: float) -> bool:
        """Wait for another value or the end; False where neither came within that time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _notify(self) -> None:
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()


class EventBuffers:
    """The channels of this process, each begun when it is first listened to, and then kept.

    Args:
        events: where the values of a subject come from.

    Attributes:
        unreadable: events that could not be read, and were left out.
    """

    def __init__(self, events: EventSource) -> None:
        self.unreadable = 0
        self._events = events
        self._buffers: dict[str, EventBuffer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def get(self, subject: str) -> EventBuffer | None:
        """The channel of a subject, if somebody has listened to it before."""
        return self._buffers.get(subject)

    def open(self, subject: str, encode: Callable[[FeedEvent], bytes]) -> EventBuffer:
        """The channel of a subject, begun now if it was not."""
        channel = self._buffers.get(subject)
        if channel is None:
            channel = self._buffers[subject] = EventBuffer(encode, self._count_unreadable)
            if self._closed:
                channel.end()
            else:
                task = asyncio.create_task(self._fill(channel, subject))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return channel

    def close(self) -> None:
        """Begin no more, and end those that are there."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        for channel in tuple(self._buffers.values()):
            channel.end()

    def _count_unreadable(self) -> None:
        self.unreadable += 1

    async def _fill(self, buffer: EventBuffer, subject: str) -> None:
        try:
            async with aclosing(self._events(subject)) as events:
                async for newer in events:
                    buffer.add(*newer)
        except Exception:
            logger.exception("Listening to %s has failed; its listeners are to come again", subject)
        finally:
            buffer.end()
            if self._buffers.get(subject) is buffer:
                del self._buffers[subject]
