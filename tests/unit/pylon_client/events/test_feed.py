"""Feeds of events, on a connection without a server."""

import asyncio
from collections.abc import Awaitable

import pytest

from pylon_client.contract import headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber
from pylon_client.events.feed import EventFeed, FeedEvent
from tests.support.chain.fake_chain import block_of, hash_of
from tests.support.nats.fake_connection import FakeConnection, as_connection
from tests.support.product.eventually import HANGS_AFTER_S

BLOCKS = "pylon.v1.event.block"
NEURONS = "pylon.v1.event.neurons.*"


class FakeEventLog:
    """Stored events of each subject.

    Attributes:
        error: raised by every read while it is set.
    """

    def __init__(self, *numbers: int, subject: str = BLOCKS) -> None:
        self.events: dict[str, list[FeedEvent]] = {}
        self.error: FailureError | None = None
        for number in numbers:
            self.store(number, subject)

    def store(self, number: int, subject: str = BLOCKS, body: bytes = b"stored") -> None:
        self.events.setdefault(subject, []).append(FeedEvent(subject, block_of(number), body))

    async def __call__(self, subject: str, after: BlockNumber | None = None) -> FeedEvent | None:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        events = self.events.get(subject, [])
        if after is None:
            return events[-1] if events else None
        return next((event for event in events if event.block.number > after), None)


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection()


async def publish(
    connection: FakeConnection, number: int, subject: str = BLOCKS, **more: str
) -> None:
    sent = {headers.BLOCK_NUMBER: str(number), headers.BLOCK_HASH: hash_of(number)}
    await connection.deliver(subject, b"live", sent | more)


async def next_of(feed: EventFeed) -> FeedEvent:
    async with asyncio.timeout(HANGS_AFTER_S):
        return await anext(feed)


async def while_publishing(feed: EventFeed, publishing: Awaitable[None]) -> FeedEvent:
    """Return the next event; a publisher may wait until it is read."""
    task = asyncio.ensure_future(publishing)
    try:
        return await next_of(feed)
    finally:
        await task


def feed_on(
    connection: FakeConnection,
    event_log: FakeEventLog,
    *subjects: str,
    after: int | None = None,
) -> EventFeed:
    return EventFeed(
        as_connection(connection),
        subjects or (BLOCKS,),
        event_log,
        after=None if after is None else BlockNumber(after),
    )


async def test_the_newest_stored_event_comes_first_and_then_each_new_one(
    connection: FakeConnection,
) -> None:
    async with feed_on(connection, FakeEventLog(3, 4, 5)) as feed:
        assert (await next_of(feed)).block.number == 5
        event = await while_publishing(feed, publish(connection, 6))
        assert (event.block.number, event.body) == (6, b"live")


async def test_a_feed_resumes_after_a_block(connection: FakeConnection) -> None:
    async with feed_on(connection, FakeEventLog(3, 4, 5), after=3) as feed:
        assert [(await next_of(feed)).block.number for _ in range(2)] == [4, 5]


async def test_missing_events_are_read_from_the_log(connection: FakeConnection) -> None:
    event_log = FakeEventLog(5)
    async with feed_on(connection, event_log) as feed:
        await next_of(feed)
        for number in (6, 7, 8):
            event_log.store(number)
        first = await while_publishing(feed, publish(connection, 8))
        following = [await next_of(feed) for _ in range(2)]
    events = [first, *following]
    assert [event.block.number for event in events] == [6, 7, 8]
    assert [event.body for event in events] == [b"stored", b"stored", b"live"]
    assert feed.counts.gaps == 1
    assert feed.counts.replayed == 2


async def test_after_a_gap_of_the_connection_the_log_is_read(connection: FakeConnection) -> None:
    event_log = FakeEventLog(5)
    async with feed_on(connection, event_log) as feed:
        await next_of(feed)
        event_log.store(6)
        connection.report_gap()
        assert (await next_of(feed)).block.number == 6


async def test_an_event_with_its_body_in_parts_is_read_from_the_log(
    connection: FakeConnection,
) -> None:
    event_log = FakeEventLog(5)
    async with feed_on(connection, event_log) as feed:
        await next_of(feed)
        event_log.store(6, body=b"large")
        await publish(connection, 6, **{headers.STORED_PARTS: "1 2"})
        assert (await next_of(feed)).body == b"large"


async def test_messages_that_are_no_events_are_counted(connection: FakeConnection) -> None:
    async with feed_on(connection, FakeEventLog()) as feed:
        await connection.deliver(BLOCKS, b"", {})
        await connection.deliver(BLOCKS, b"", None)
        event = await while_publishing(feed, publish(connection, 1))
    assert event.block.number == 1
    assert feed.counts.skipped == 2


async def test_a_wildcard_delivers_the_events_of_all_its_subjects(
    connection: FakeConnection,
) -> None:
    event_log = FakeEventLog(9, subject="pylon.v1.event.neurons.7")
    async with feed_on(connection, event_log, NEURONS) as feed:
        first = await while_publishing(feed, publish(connection, 1, "pylon.v1.event.neurons.7"))
        second = await while_publishing(feed, publish(connection, 5, "pylon.v1.event.neurons.8"))
    assert (first.subject, first.block.number) == ("pylon.v1.event.neurons.7", 1)
    assert (second.subject, second.block.number) == ("pylon.v1.event.neurons.8", 5)


async def test_a_cancelled_reader_loses_no_event(connection: FakeConnection) -> None:
    async with feed_on(connection, FakeEventLog()) as feed:
        reading = asyncio.create_task(next_of(feed))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        await publish(connection, 1)
        assert (await next_of(feed)).block.number == 1


async def test_a_denied_subscription_is_raised_at_once(connection: FakeConnection) -> None:
    async with feed_on(connection, FakeEventLog()) as feed:
        connection.deny_subscription("pylon.v1.event.neurons.1")
        reading = asyncio.create_task(next_of(feed))
        await asyncio.sleep(0)
        assert not reading.done(), "another subject"
        connection.deny_subscription(BLOCKS)
        with pytest.raises(FailureError) as raised:
            await reading
    assert raised.value.code is ErrorCode.FORBIDDEN


async def test_a_denied_event_log_is_raised(connection: FakeConnection) -> None:
    event_log = FakeEventLog()
    event_log.error = FailureError(ErrorCode.FORBIDDEN, "denied")
    async with feed_on(connection, event_log) as feed:
        with pytest.raises(FailureError, match="denied"):
            await next_of(feed)


async def test_a_closed_connection_is_raised(connection: FakeConnection) -> None:
    async with feed_on(connection, FakeEventLog()) as feed:
        connection.closed.set()
        with pytest.raises(FailureError) as raised:
            await next_of(feed)
    assert raised.value.code is ErrorCode.NATS_UNAVAILABLE


async def test_leaving_removes_all_callbacks(connection: FakeConnection) -> None:
    async with feed_on(connection, FakeEventLog(1), BLOCKS, NEURONS):
        assert set(connection.callbacks) == {BLOCKS, NEURONS}
    assert not connection.callbacks
    assert not connection.gap_listeners
    assert not connection.violation_listeners


async def test_a_failed_start_removes_all_callbacks(connection: FakeConnection) -> None:
    connection.error = FailureError(ErrorCode.NATS_UNAVAILABLE, "no connection")
    with pytest.raises(FailureError, match="no connection"):
        async with feed_on(connection, FakeEventLog()):
            pass
    assert not connection.gap_listeners
    assert not connection.violation_listeners
