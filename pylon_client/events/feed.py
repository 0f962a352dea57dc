"""Feeds of published events: the newest event of each subject first, then all that follow in order.

A feed subscribes before it reads the newest event, so that no event is lost between the two. When a
block number is missing, or messages may have been lost after a reconnect or because the reader is
slow, `EventSequence` in `pylon_client/events/sequence.py` reads the missing events from the log.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber
from pylon_client.events.sequence import EventSequence, FeedCounts
from pylon_client.events.stored_events import (
    EventLogReader,
    FeedEvent,
    event_log_via_worker,
    parse_event,
)
from pylon_client.nats.nats_client import ReceivedMsg
from pylon_client.nats.nats_connection import NatsConnection
from pylon_client.nats.nats_errors import PermissionViolation

__all__ = ["EventFeed", "EventLogReader", "FeedCounts", "FeedEvent", "event_log_via_worker"]

MAX_PENDING_MSGS: Final = 256
MAX_PENDING_BYTES: Final = 64 * 1024 * 1024


class EventFeed:
    """Iterates over events: `async with EventFeed(…) as feed:`, then `async for event in feed:`.

    A slow reader gets all events as well, while the event log stores them. Missing events are
    reported by the attribute `lost` of the next event.

    Args:
        connection: receives the events; it may be lost and restored.
        subjects: event subjects; may contain wildcards.
        event_log: reads stored events.
        after: block of the last event that the reader has, for each subject without a wildcard;
            the feed resumes after it. None starts with the newest event of each subject.
        max_pending_msgs: maximum number of events per subject that are queued for the reader.
            Further ones are dropped, counted in `NatsConnection.counts`, and read from the log.

    Attributes:
        counts: counters of missed events.
    """

    def __init__(
        self,
        connection: NatsConnection,
        subjects: Sequence[str],
        event_log: EventLogReader,
        *,
        after: BlockNumber | None = None,
        max_pending_msgs: int = MAX_PENDING_MSGS,
    ) -> None:
        self.counts: Final = FeedCounts()
        self._connection = connection
        self._subjects = tuple(subjects)
        self._event_log = event_log
        self._after = after
        self._max_pending_msgs = max_pending_msgs
        # Events are queued in the subscriptions, which have a limit. This holds the next one only.
        self._delivered: asyncio.Queue[FeedEvent] = asyncio.Queue(maxsize=1)
        self._next_task: asyncio.Task[FeedEvent] | None = None
        self._sequences: dict[str, EventSequence] = {}
        self._tasks: list[asyncio.Task[Any]] = []
        self._violation: asyncio.Future[FailureError] = asyncio.get_running_loop().create_future()
        self._listeners = contextlib.ExitStack()
        self._subscriptions = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FeedEvent:
        """Return the next event.

        Raises:
            FailureError: FORBIDDEN if the server denies a subject, NATS_UNAVAILABLE if the
                connection has ended permanently. No more events follow.
        """
        # The task survives a cancellation of the reader, so that its event is not lost.
        self._next_task = self._next_task or asyncio.create_task(self._delivered.get())
        await asyncio.wait(
            [self._next_task, self._violation, *self._tasks], return_when=asyncio.FIRST_COMPLETED
        )
        if self._next_task.done():
            next_task, self._next_task = self._next_task, None
            return next_task.result()
        self._raise_if_denied()
        for task in self._tasks:
            if task.done():
                task.result()
        raise FailureError(ErrorCode.NATS_UNAVAILABLE, "The connection to NATS has ended.")

    async def _start(self) -> None:
        for subject in self._subjects:
            if "*" not in subject:
                self._add_sequence(subject, self._after)
        self._listeners.callback(self._connection.on_gap(self._catch_up))
        self._listeners.callback(
            self._connection.on_permission_violation(self._on_permission_violation)
        )
        for subject in self._subjects:
            await self._subscriptions.enter_async_context(
                self._connection.subscription(
                    subject,
                    self._on_message,
                    max_pending_msgs=self._max_pending_msgs,
                    max_pending_bytes=MAX_PENDING_BYTES,
                )
            )
        # Without a flush, the connection is lost: the reconnect reports a gap.
        await self._connection.flush()
        self._raise_if_denied()
        self._tasks.append(asyncio.create_task(self._connection.closed.wait()))
        for sequence in self._sequences.values():
            sequence.start()

    async def _stop(self) -> None:
        self._listeners.close()
        tasks = [*self._tasks, *([self._next_task] if self._next_task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._subscriptions.aclose()

    def _catch_up(self) -> None:
        for sequence in self._sequences.values():
            sequence.catch_up()

    def _on_permission_violation(
        self, violation: PermissionViolation, failure: FailureError
    ) -> None:
        if not self._violation.done() and any(map(violation.denies_subscribe, self._subjects)):
            self._violation.set_result(failure)

    def _raise_if_denied(self) -> None:
        if self._violation.done():
            raise self._violation.result()

    async def _on_message(self, message: ReceivedMsg) -> None:
        event = parse_event(message.subject, message.headers or {}, message.data)
        if event is None:
            self.counts.skipped += 1
        else:
            sequence = self._sequences.get(event.subject) or self._add_sequence(event.subject)
            if event.stored_parts:
                sequence.announce(event.block.number)
            else:
                await sequence.receive(event)

    def _add_sequence(self, subject: str, after: BlockNumber | None = None) -> EventSequence:
        sequence = EventSequence(
            subject, self._event_log, self._delivered.put, self.counts, after=after
        )
        self._sequences[subject] = sequence
        self._tasks.append(asyncio.create_task(sequence.run(), name=f"events of {subject}"))
        return sequence
