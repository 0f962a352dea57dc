"""One subject's events in order: those that come, and from the stream those that did not."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockNumber
from pylon_client.events.stored_events import NO_LOST_BLOCKS, EventLogReader, FeedEvent
from pylon_client.nats.cancellation import raise_if_cancelled

logger = logging.getLogger(__name__)

RETRY_INITIAL_DELAY_S: Final = 0.1
RETRY_MAX_DELAY_S: Final = 5.0
INCOMPLETE_READS_MAX: Final = 4
"""So often the stream is asked again that lacks what must be in it: a replica may lag behind."""
OUT_OF_ORDER_MAX: Final = EVENTS.max_msgs_per_subject
"""So many values that came too early are kept until those before them are there."""
GIVE_UP_AFTER_S: Final = 60.0
"""After this long without an answer the values in between count as lost, and newer ones go on."""


@dataclass(slots=True)
class FeedCounts:
    """What a feed has been through since it was made.

    Attributes:
        skipped: messages that were no events of this contract.
        gaps: how often a value came before those that must precede it.
        replayed: values that came from the stream, since they had not come by themselves.
        lost: block numbers whose values could not be had any more.
        retries: how often the stream could not be asked, and was asked again later.
    """

    skipped: int = 0
    gaps: int = 0
    replayed: int = 0
    lost: int = 0
    retries: int = 0


class EventSequence:
    """Hands on the events of one subject, each once, in the order of their blocks.

    The next number is handed on as it comes. When a later one comes, or something may have been
    missed, what lies between is fetched from the stream, one value after the other.

    Args:
        subject: of which subject.
        event_log: the stream.
        deliver: takes each event, in order; it may take its time.
        counts: where to count.
        after: the block of the last event that is known already. None begins with the newest.
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
        """Fetch the newest value, or those after the one that is known already."""
        self._needs_catch_up.set()

    def catch_up(self) -> None:
        """Look into the stream up to its end: something may have been missed."""
        self._to_end = True
        self._needs_catch_up.set()

    def announce(self, number: BlockNumber) -> None:
        """Fetch an event from the stream that is there, but was too large to come by itself."""
        self._announced = max(self._announced, number)
        self._needs_catch_up.set()

    async def receive(self, event: FeedEvent) -> None:
        """Hand on an event that came, or keep it until those before it are there."""
        async with self._lock:
            number = event.block.number
            if self._last_delivered is None or number == self._last_delivered + 1:
                await self._deliver_in_order(event)
            elif number > self._last_delivered:
                self._counts.gaps += not self._out_of_order
                if len(self._out_of_order) < OUT_OF_ORDER_MAX:
                    self._out_of_order[number] = event
                if len(self._out_of_order) == OUT_OF_ORDER_MAX or not self._catching_up:
                    self._needs_catch_up.set()

    async def run(self) -> None:
        """Catch up whenever that is needed, until cancelled.

        Raises:
            FailureError: FORBIDDEN; the stream may not be asked.
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
        """Hand on the next value from the stream, if there is one; whether to go on looking."""
        after = self._last_delivered
        found = await self._read_log(after)
        if found is not None and after is not None and found.block.number <= after:
            found = None
        async with self._lock:
            if self._last_delivered != after:
                return bool(self._out_of_order) or to_end  # it came by itself meanwhile
            following = self._next_before_buffered(found) if self._out_of_order else found
            if following is not None:
                self._counts.replayed += following is found and after is not None
                await self._deliver_in_order(following)
            elif not self._out_of_order and not self._is_log_behind():
                return False
        if following is None:
            await asyncio.sleep(RETRY_INITIAL_DELAY_S * 2**self._incomplete_reads)
            return True
        # After the newest one, and after one that came by itself, the others come so too, unless
        # some were dropped behind it.
        is_live = (
            after is None
            or following is not found
            or following.block.number != self._last_delivered
        )
        return bool(self._out_of_order) or to_end or not is_live

    def _is_log_behind(self) -> bool:
        """Whether the stream must have an event that it did not give: a replica may lag behind."""
        if self._announced <= (-1 if self._last_delivered is None else self._last_delivered):
            return False
        self._incomplete_reads += 1
        if self._incomplete_reads <= INCOMPLETE_READS_MAX:
            return True
        self._announced, self._incomplete_reads = BlockNumber(-1), 0
        return False

    def _next_before_buffered(self, found: FeedEvent | None) -> FeedEvent | None:
        """What comes next, when later ones are there; None where the stream must be asked again.

        Args:
            found: what the stream has after the last value; None if nothing.
        """
        ahead = self._out_of_order[min(self._out_of_order)]
        if found is not None and found.block.number < ahead.block.number:
            return found
        if found is None and self._incomplete_reads < INCOMPLETE_READS_MAX:
            self._incomplete_reads += 1
            return None
        first_lost = (
            ahead.block.number if self._last_delivered is None else self._last_delivered + 1
        )
        is_lost = found is None or bool(found.lost)
        lost = range(first_lost, ahead.block.number) if is_lost else NO_LOST_BLOCKS
        return replace(ahead, lost=lost)

    async def _read_log(self, after: BlockNumber | None) -> FeedEvent | None:
        clock_s = asyncio.get_running_loop().time
        began_s = clock_s()
        wait_s = RETRY_INITIAL_DELAY_S
        while True:
            try:
                found = await self._event_log(self._subject, after)
            except FailureError as error:
                if error.code is ErrorCode.FORBIDDEN:
                    raise  # asking again would not help, and waiting in silence neither
                self._counts.retries += 1
                logger.info("The events of %s cannot be had now: %s", self._subject, error)
            else:
                raise_if_cancelled()
                return found
            raise_if_cancelled()
            if self._out_of_order and clock_s() - began_s > GIVE_UP_AFTER_S:
                self._incomplete_reads = INCOMPLETE_READS_MAX
                return None
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 -- spreads load
            wait_s = min(wait_s * 2, RETRY_MAX_DELAY_S)

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
        logger.warning("Of %s, blocks %d to %d are lost", self._subject, lost[0], lost[-1])
