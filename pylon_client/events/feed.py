"""Events as they are published: the newest one first, then every one that comes, once, in order.

A feed subscribes first, then asks for the last value: so nothing falls between the two. When a
number is left out, or messages may have been missed, after a reconnect or since they were taken
too slowly, it asks for what follows the last value that it gave, and goes on from there.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import nats.errors
from nats.aio.msg import Msg

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber
from pylon_client.events.sequence import EventSequence, FeedCounts
from pylon_client.events.stored_events import (
    EventLogReader,
    FeedEvent,
    event_log_via_worker,
    parse_event,
)
from pylon_client.nats.nats_connection import NatsConnection
from pylon_client.nats.nats_errors import PermissionViolation, describe_error

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

__all__ = ["EventFeed", "EventLogReader", "FeedCounts", "FeedEvent", "event_log_via_worker"]

PENDING_MAX_MSGS: Final = 256
PENDING_MAX_BYTES: Final = 64 * 1024 * 1024


class EventFeed:
    """`async with EventFeed(…) as feed:` then `async for event in feed:`.

    A slow reader gets every value too, as long as the stream keeps what it has not taken yet.
    What could not be had any more is told by the `lost` of the event that follows.

    Args:
        connection: where to listen; it may break and come back.
        subjects: event subjects, wildcards too.
        event_log: how to ask for values that did not come.
        after: the block of the last value that the reader has: the feed resumes after it. It goes
            for every subject that is no wildcard; None begins with the newest value of each.
        pending_max_msgs: how many events may wait for the reader, per subject; what comes beyond
            is dropped, counted in `Connection.counts`, and fetched from the stream.

    Attributes:
        counts: what was missed, and what became of it.
    """

    def __init__(
        self,
        connection: NatsConnection,
        subjects: Sequence[str],
        event_log: EventLogReader,
        *,
        after: BlockNumber | None = None,
        pending_max_msgs: int = PENDING_MAX_MSGS,
    ) -> None:
        self.counts: Final = FeedCounts()
        self._connection = connection
        self._subjects = tuple(subjects)
        self._event_log = event_log
        self._after = after
        self._pending_max_msgs = pending_max_msgs
        # Events wait in the subscriptions, whose bound is known; here is only the next one.
        self._delivered: asyncio.Queue[FeedEvent] = asyncio.Queue(maxsize=1)
        self._next_task: asyncio.Task[FeedEvent] | None = None
        self._sequences: dict[str, EventSequence] = {}
        self._subscriptions: list[Subscription] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._violation: asyncio.Future[FailureError] = asyncio.get_running_loop().create_future()
        self._stack = contextlib.ExitStack()

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
        """The next event.

        Raises:
            FailureError: FORBIDDEN, when the server refuses one of the subjects: nothing more would
                come. NATS_UNAVAILABLE, when the connection has ended for good.
        """
        # Kept when the reader is cancelled, so that the event in it is not lost.
        self._next_task = self._next_task or asyncio.create_task(self._delivered.get())
        await asyncio.wait(
            [self._next_task, self._violation, *self._tasks], return_when=asyncio.FIRST_COMPLETED
        )
        if self._next_task.done():
            coming, self._next_task = self._next_task, None
            return coming.result()
        self._raise_if_denied()
        for task in self._tasks:
            if task.done():
                task.result()
        raise FailureError(ErrorCode.NATS_UNAVAILABLE, "The connection to NATS has ended.")

    async def _start(self) -> None:
        for subject in self._subjects:
            if "*" not in subject:
                self._add_sequence(subject, self._after)
        self._stack.callback(self._connection.on_gap(self._catch_up))
        self._stack.callback(
            self._connection.on_permission_violation(self._on_permission_violation)
        )
        try:
            for subject in self._subjects:
                self._subscriptions.append(await self._subscribe(subject))
            with contextlib.suppress(nats.errors.TimeoutError, OSError):
                # Where this fails, a reconnect is under way, and gaps are looked for after it.
                await self._connection.nats.flush()
        except nats.errors.Error as error:
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE, f"NATS takes no subscription: {describe_error(error)}."
            ) from None
        self._raise_if_denied()
        self._tasks.append(asyncio.create_task(self._connection.closed.wait()))
        for sequence in self._sequences.values():
            sequence.start()

    async def _subscribe(self, subject: str) -> "Subscription":
        return await self._connection.subscribe(
            subject,
            self._on_message,
            pending_max_msgs=self._pending_max_msgs,
            pending_max_bytes=PENDING_MAX_BYTES,
        )

    async def _stop(self) -> None:
        self._stack.close()
        tasks = [*self._tasks, *([self._next_task] if self._next_task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for subscription in self._subscriptions:
            if not self._connection.nats.is_closed and not self._connection.nats.is_draining:
                await subscription.unsubscribe()
        self._subscriptions.clear()

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

    async def _on_message(self, message: Msg) -> None:
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
