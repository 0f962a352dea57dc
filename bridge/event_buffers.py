"""Buffers of the newest events, shared by all streams: one NATS subscription per subject."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from fastapi.sse import format_sse_event

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockNumber
from pylon_client.events.feed import EventFeed, FeedEvent, event_log_via_worker
from pylon_client.events.stored_events import EventLogReader
from pylon_client.log_limit import LogLimit
from pylon_client.nats.nats_client import ReceivedMsg
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

BUFFER_SIZE: Final = EVENTS.max_msgs_per_subject
RETRY_DELAY_S: Final = 0.5
FORBIDDEN_RETRY_DELAY_S: Final = 10.0
"""Delay before the next try after a permission error, in seconds.

It exceeds `RETRY_DELAY_S`, since only a change of the server's configuration can help.
"""

EventSource = Callable[[str, Callable[[Sequence[FeedEvent]], None]], Awaitable[None]]
"""Passes batches of a subject's events to a callback in order, endlessly: stored events first.

The first batch ends with the newest stored event."""


async def follow_subject(
    get_connection: Callable[[], Awaitable[NatsConnection]],
    subject: str,
    receive: Callable[[Sequence[FeedEvent]], None],
) -> None:
    """Pass a subject's events to `receive`, across connections, each event once and in order.

    Args:
        get_connection: waits for a connection.
        subject: the subject of the events.
        receive: called with each batch; the first one ends with the newest stored event.
    """
    last_number: BlockNumber | None = None
    log_limit = LogLimit()
    while True:
        connection = await get_connection()
        event_log = event_log_via_worker(connection)
        try:
            newest = await event_log(subject)
            until = -1 if newest is None else newest.block.number
            after = (
                await _number_before_oldest(event_log, subject, until)
                if last_number is None
                else last_number
            )
            async with EventFeed(connection, [subject], event_log, after=after) as feed:
                batch: list[FeedEvent] = []
                async for event in feed:
                    batch.append(event)
                    if event.block.number >= until:
                        last_number = event.block.number
                        receive(batch)
                        batch = []
        except (FailureError, OSError) as error:
            if isinstance(error, FailureError) and error.code is ErrorCode.FORBIDDEN:
                level = logging.ERROR if log_limit.is_due(str(error)) else logging.DEBUG
                logger.log(level, "Not permitted to read events of %s: %s", subject, error)
                await asyncio.sleep(FORBIDDEN_RETRY_DELAY_S)
            else:
                logger.info("Event feed of %s interrupted: %s; retrying", subject, error)
        await asyncio.sleep(RETRY_DELAY_S)


async def _number_before_oldest(
    event_log: EventLogReader, subject: str, until: int
) -> BlockNumber | None:
    """Return the block number before the oldest event to load; None if none is stored."""
    oldest = await event_log(subject, BlockNumber(max(0, until - BUFFER_SIZE)))
    return None if oldest is None else BlockNumber(oldest.block.number - 1)


@asynccontextmanager
async def subscribe(
    connection: NatsConnection, subject: str, callback: Callable[[bytes], None]
) -> AsyncGenerator[None]:
    """Call `callback` with each message of a subject within the block; messages may get lost.

    Raises:
        FailureError: NATS_UNAVAILABLE if the subscription cannot be created.
    """

    async def on_message(message: ReceivedMsg) -> None:
        callback(message.data)

    async with connection.subscription(subject, on_message):
        yield


@dataclass(frozen=True, slots=True)
class SseFrame:
    """An encoded server-sent event, shared by all listeners.

    Attributes:
        number: block number of the event, which is its id.
        data: the bytes that are sent.
    """

    number: BlockNumber
    data: bytes


class EventBuffer:
    """The newest frames of one subject, limited to the size of the event stream itself.

    Listeners have no queues: each reads the frame after its last block from here. A slow listener
    therefore costs no memory, and catches up unless it falls behind by more than the buffer's size.

    Args:
        event_name: name of the frames.
        on_unreadable: called for each event that cannot be decoded.

    Attributes:
        ended: whether no more events follow, since the bridge stops or the feed failed.
    """

    def __init__(
        self,
        event_name: str,
        on_unreadable: Callable[[], None] = lambda: None,
    ) -> None:
        self.ended = False
        self._event_name = event_name
        self._on_unreadable = on_unreadable
        self._log_limit = LogLimit()
        self._frames: deque[SseFrame] = deque(maxlen=BUFFER_SIZE)
        self._changed = asyncio.Event()

    @property
    def newest(self) -> SseFrame | None:
        """The newest frame; None before the first one."""
        return self._frames[-1] if self._frames else None

    def add(self, events: Sequence[FeedEvent]) -> None:
        """Append events, which must be newer than all before, and wake the listeners."""
        for event in events:
            number = event.block.number
            try:
                frame = format_sse_event(
                    event=self._event_name, id=str(number), data_str=event.body.decode()
                )
                self._frames.append(SseFrame(number, frame))
            except ValueError:
                self._on_unreadable()
                if self._log_limit.is_due("unreadable"):
                    logger.warning("Could not decode block %d of %s", number, event.subject)
        self._notify()

    def end(self) -> None:
        """Mark the buffer as ended, and wake the listeners."""
        self.ended = True
        self._notify()

    def after(self, number: BlockNumber | None) -> SseFrame | None:
        """Return the first frame after a block, or the newest one without a block number.

        Returns None if there is no such frame yet.
        """
        if number is None:
            return self.newest
        return next((value for value in self._frames if value.number > number), None)

    def is_oldest(self, value: SseFrame) -> bool:
        """Return whether a frame is the oldest in the buffer."""
        return value is self._frames[0]

    async def wait_for_change(self, timeout_s: float) -> bool:
        """Wait for another frame or the end; return False after `timeout_s` seconds without one."""
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
    """The event buffers of this process, one per subject; each is created for its first listener.

    Args:
        events: source of a subject's events.

    Attributes:
        unreadable: number of events that could not be decoded, and were skipped.
    """

    def __init__(self, events: EventSource) -> None:
        self.unreadable = 0
        self._events = events
        self._buffers: dict[str, EventBuffer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def get(self, subject: str) -> EventBuffer | None:
        """Return the buffer of a subject, or None if it has not been opened."""
        return self._buffers.get(subject)

    def open(self, subject: str, event_name: str) -> EventBuffer:
        """Return the buffer of a subject; create and fill it if it has not been opened.

        Args:
            subject: the subject of the events.
            event_name: name of their frames.
        """
        channel = self._buffers.get(subject)
        if channel is None:
            channel = self._buffers[subject] = EventBuffer(event_name, self._count_unreadable)
            if self._closed:
                channel.end()
            else:
                task = asyncio.create_task(self._fill(channel, subject))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return channel

    def close(self) -> None:
        """End all buffers, also buffers that are opened later."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        for channel in tuple(self._buffers.values()):
            channel.end()

    def _count_unreadable(self) -> None:
        self.unreadable += 1

    async def _fill(self, buffer: EventBuffer, subject: str) -> None:
        try:
            await self._events(subject, buffer.add)
        except Exception:
            logger.exception("Event feed of %s failed; its listeners must reconnect", subject)
        finally:
            buffer.end()
            if self._buffers.get(subject) is buffer:
                del self._buffers[subject]
