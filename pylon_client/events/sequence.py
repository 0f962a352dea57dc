"""Delivery of one subject's events in order, with missing events from the event log."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockNumber
from pylon_client.events.stored_events import NO_LOST_BLOCKS, EventLogReader, FeedEvent
from pylon_client.exponential_backoff import Backoff
from pylon_client.nats.cancellation import raise_if_cancelled

logger = logging.getLogger(__name__)

RETRY_INITIAL_DELAY_S: Final = 0.1
RETRY_MAX_DELAY_S: Final = 5.0
MAX_INCOMPLETE_READS: Final = 4
"""Maximum reads of the log that lack an expected event: a replica may lag behind."""
MAX_OUT_OF_ORDER: Final = EVENTS.max_msgs_per_subject
"""Maximum number of buffered events whose predecessors are missing."""
GIVE_UP_AFTER_S: Final = 60.0
"""Seconds without a reply of the log after which the missing events count as lost."""


@dataclass(slots=True)
class FeedCounts:
    """Counters of a feed since it was created.

    Attributes:
        skipped: messages that are not events of this contract.
        gaps: events that arrived while predecessors were missing.
        replayed: events that were read from the event log.
        lost: block numbers whose events are no longer available.
        retries: failed reads of the event log.
    """

    skipped: int = 0
    gaps: int = 0
    replayed: int = 0
    lost: int = 0
    retries: int = 0


class EventSequence:
    """Delivers the events of one subject, each once, in the order of their blocks.

    The event of the next block is delivered on arrival. When a later one arrives, or events may
    have been lost, the missing events are read from the log one at a time.

    Args:
        subject: the subject of the events.
        event_log: reads stored events.
        deliver: receives each event in order; the next one waits for it.
        counts: counters to increment.
        after: block of the last delivered event; None starts with the newest event.
    """

    def __init__(
        self,
        subject: str,
        event_log: EventLogReader,
        deliver: Callable[[FeedEvent], Awaitable[None]],
        counts: FeedCounts,
        *,
        after: BlockNumber | None = None,
    ) -> None:
        self._subject = subject
        self._event_log = event_log
        self._deliver = deliver
        self._counts = counts
        self._last_delivered = after
        self._out_of_order: dict[BlockNumber, FeedEvent] = {}
        self._announced = BlockNumber(-1)
        self._needs_catch_up = asyncio.Event()
        self._catching_up = False
        self._to_end = False
        self._lock = asyncio.Lock()
        self._incomplete_reads = 0

    def start(self) -> None:
        """Read the newest event, or all events after the last delivered one."""
        self._needs_catch_up.set()

    def catch_up(self) -> None:
        """Read the log to its end, because events may have been lost."""
        self._to_end = True
        self._needs_catch_up.set()

    def announce(self, number: BlockNumber) -> None:
        """Read a stored event that was published without its body because it is too large."""
        self._announced = max(self._announced, number)
        self._needs_catch_up.set()

    async def receive(self, event: FeedEvent) -> None:
        """Deliver an event, or buffer it until its predecessors are delivered."""
        async with self._lock:
            number = event.block.number
            if self._last_delivered is None or number == self._last_delivered + 1:
                await self._deliver_in_order(event)
            elif number > self._last_delivered:
                self._counts.gaps += not self._out_of_order
                if len(self._out_of_order) < MAX_OUT_OF_ORDER:
                    self._out_of_order[number] = event
                if len(self._out_of_order) == MAX_OUT_OF_ORDER or not self._catching_up:
                    self._needs_catch_up.set()

    async def run(self) -> None:
        """Read the log whenever events are missing, until cancelled.

        Raises:
            FailureError: FORBIDDEN; reads of the log are denied.
        """
        while True:
            await self._needs_catch_up.wait()
            self._needs_catch_up.clear()
            up_to_the_end, self._to_end = self._to_end, False
            self._catching_up = True
            while await self._step(to_end=up_to_the_end):
                pass
            self._catching_up = False

    async def _step(self, *, to_end: bool) -> bool:
        """Deliver the next event of the log, if any; return whether to continue."""
        after = self._last_delivered
        stored_event = await self._read_log(after)
        if stored_event is not None and after is not None and stored_event.block.number <= after:
            stored_event = None
        async with self._lock:
            if self._last_delivered != after:
                return bool(self._out_of_order) or to_end  # delivered on arrival meanwhile
            following = (
                self._next_before_buffered(stored_event) if self._out_of_order else stored_event
            )
            if following is not None:
                self._counts.replayed += following is stored_event and after is not None
                await self._deliver_in_order(following)
            elif not self._out_of_order and not self._is_log_behind():
                return False
        if following is None:
            await asyncio.sleep(RETRY_INITIAL_DELAY_S * 2**self._incomplete_reads)
            return True
        # After the newest event, or one that arrived itself, the next ones arrive as well, unless
        # some were dropped.
        is_live = (
            after is None
            or following is not stored_event
            or following.block.number != self._last_delivered
        )
        return bool(self._out_of_order) or to_end or not is_live

    def _is_log_behind(self) -> bool:
        """Return whether the log must have an announced event that it did not return yet."""
        if self._announced <= (-1 if self._last_delivered is None else self._last_delivered):
            return False
        self._incomplete_reads += 1
        if self._incomplete_reads <= MAX_INCOMPLETE_READS:
            return True
        self._announced, self._incomplete_reads = BlockNumber(-1), 0
        return False

    def _next_before_buffered(self, stored_event: FeedEvent | None) -> FeedEvent | None:
        """Return the event to deliver before the buffered ones; None to read the log again.

        Args:
            stored_event: the first event of the log after the last delivered one, if any.
        """
        first_buffered = self._out_of_order[min(self._out_of_order)]
        if stored_event is not None and stored_event.block.number < first_buffered.block.number:
            return stored_event
        if stored_event is None and self._incomplete_reads < MAX_INCOMPLETE_READS:
            self._incomplete_reads += 1
            return None
        first_lost = (
            first_buffered.block.number
            if self._last_delivered is None
            else self._last_delivered + 1
        )
        is_lost = stored_event is None or bool(stored_event.lost)
        lost = range(first_lost, first_buffered.block.number) if is_lost else NO_LOST_BLOCKS
        return replace(first_buffered, lost=lost)

    async def _read_log(self, after: BlockNumber | None) -> FeedEvent | None:
        clock_s = asyncio.get_running_loop().time
        began_s = clock_s()
        backoff = Backoff(RETRY_INITIAL_DELAY_S, RETRY_MAX_DELAY_S)
        while True:
            try:
                stored_event = await self._event_log(self._subject, after)
            except FailureError as error:
                if error.code is ErrorCode.FORBIDDEN:
                    raise  # retries would not help
                self._counts.retries += 1
                logger.info("Cannot read stored events of %s; retrying: %s", self._subject, error)
            else:
                raise_if_cancelled()
                return stored_event
            raise_if_cancelled()
            if self._out_of_order and clock_s() - began_s > GIVE_UP_AFTER_S:
                self._incomplete_reads = MAX_INCOMPLETE_READS
                return None
            await backoff.wait()

    async def _deliver_in_order(self, event: FeedEvent) -> None:
        following: FeedEvent | None = event
        while following is not None:
            await self._deliver(following)
            self._last_delivered = following.block.number
            self._incomplete_reads = 0
            if following.lost:
                self._report_lost(following.lost)
            for number in [
                number for number in self._out_of_order if number <= self._last_delivered
            ]:
                del self._out_of_order[number]
            following = self._out_of_order.get(BlockNumber(self._last_delivered + 1))

    def _report_lost(self, lost: range) -> None:
        self._counts.lost += len(lost)
        logger.warning("Lost events of %s: blocks %d to %d", self._subject, lost[0], lost[-1])
