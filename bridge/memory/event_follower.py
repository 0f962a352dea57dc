"""Follows published events for the bridge's memory, and bounds their age."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from bridge.memory.memory_reads import MemoryReads
from pylon_client.contract.failures import FailureError
from pylon_client.contract.subjects import (
    ALL_NEURONS_EVENTS,
    BLOCK_EVENTS,
    NeuronsEventSubject,
    parse_subject,
)
from pylon_client.events.stored_events import event_log_via_worker, parse_event
from pylon_client.exponential_backoff import Backoff
from pylon_client.nats.cancellation import raise_if_cancelled
from pylon_client.nats.nats_client import ReceivedMsg
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

ROUND_TRIPS_PER_BLOCK: Final = 4
"""Number of round trips to NATS per block time. Events count as older by up to one interval."""
MIN_ROUND_TRIP_INTERVAL_S: Final = 0.02
RETRY_INITIAL_DELAY_S: Final = 0.1
RETRY_MAX_DELAY_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class _RoundTrip:
    """A request to NATS and its reply, in monotonic time."""

    begun_s: float
    ended_s: float


class EventFollower:
    """Passes the events of blocks and of all subnets to the memory, as they arrive.

    NATS delivers messages and replies of one connection in order. An event that arrives after the
    reply to a request was therefore sent after that request. A connection that was interrupted
    without being closed may deliver old events, and this bounds their age.

    Args:
        wait_connected: returns a connection, when there is one.
        memory: receives the events.
        block_duration_s: the chain's block time, in seconds.
        clock_s: monotonic time, in seconds; that of received messages.
    """

    def __init__(
        self,
        wait_connected: Callable[[], Awaitable[NatsConnection]],
        memory: MemoryReads,
        *,
        block_duration_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wait_connected = wait_connected
        self._memory = memory
        self._interval_s = max(block_duration_s / ROUND_TRIPS_PER_BLOCK, MIN_ROUND_TRIP_INTERVAL_S)
        self._clock_s = clock_s
        # A message may be processed after a round trip that ended later than it was received.
        self._round_trips: deque[_RoundTrip] = deque(maxlen=2)
        self._out_of_sync = asyncio.Event()
        self._backoff = Backoff(RETRY_INITIAL_DELAY_S, RETRY_MAX_DELAY_S)

    async def run(self) -> None:
        """Follow the events across connections, until cancelled."""
        while True:
            connection = await self._wait_connected()
            try:
                await self._follow(connection)
            except FailureError as error:
                level = logging.DEBUG if self._backoff.attempts else logging.INFO
                logger.log(level, "Cannot follow events: %s; retrying", error)
            finally:
                self._lose_sync()
            raise_if_cancelled()
            await self._backoff.wait()

    async def _follow(self, connection: NatsConnection) -> None:
        async with AsyncExitStack() as stack:
            stack.callback(connection.on_gap(self._lose_sync))
            for subject, receive in (
                (BLOCK_EVENTS, self._on_block),
                (ALL_NEURONS_EVENTS, self._on_neurons),
            ):
                await stack.enter_async_context(connection.subscription(subject, receive))
            self._lose_sync()
            while True:
                await self._make_round_trip(connection)
                if self._out_of_sync.is_set():
                    await self._synchronize(connection)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._interval_s):
                        await self._out_of_sync.wait()

    async def _make_round_trip(self, connection: NatsConnection) -> None:
        begun_s = self._clock_s()
        # Without a connection, a flush returns at once.
        if connection.is_connected and await connection.flush() and connection.is_connected:
            raise_if_cancelled()
            self._round_trips.append(_RoundTrip(begun_s, self._clock_s()))

    async def _synchronize(self, connection: NatsConnection) -> None:
        """Compare the memory with the event log, unless events are lost meanwhile."""
        self._out_of_sync.clear()
        newest = self._memory.newest_number
        stored = await event_log_via_worker(connection)(BLOCK_EVENTS)
        raise_if_cancelled()
        if not self._out_of_sync.is_set():
            self._memory.synchronize(stored, newest)
            self._backoff.reset()

    def _lose_sync(self) -> None:
        self._memory.distrust()
        self._round_trips.clear()
        self._out_of_sync.set()

    def _sent_after_s(self, message: ReceivedMsg) -> float:
        """Return a time before which a message was not sent; minus infinity if it is unknown."""
        for trip in reversed(self._round_trips):
            if trip.ended_s < message.received_at_s:
                return trip.begun_s
        return float("-inf")

    async def _on_block(self, message: ReceivedMsg) -> None:
        event = parse_event(message.subject, message.headers or {}, message.data)
        if event is not None and not self._memory.observe_block(
            event, sent_after_s=self._sent_after_s(message)
        ):
            logger.info("Block %d does not follow the newest one", event.block.number)
            self._out_of_sync.set()

    async def _on_neurons(self, message: ReceivedMsg) -> None:
        event = parse_event(message.subject, message.headers or {}, message.data)
        subject = None if event is None else parse_subject(event.subject)
        if event is not None and isinstance(subject, NeuronsEventSubject):
            self._memory.observe_neurons(subject.netuid, event)
