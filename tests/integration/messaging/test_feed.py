import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from pylon.events.event_log import EventLog
from pylon.events.replay import ReplayHandlers
from pylon.jetstream.provision import provision_streams
from pylon.rpc.request_server import RequestServer
from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import ALL_NEURONS_EVENTS, BLOCK_EVENTS
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockNumber
from pylon_client.events.feed import EventFeed, FeedEvent, event_log_via_worker
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.nats.nats_server import NatsServer
from tests.support.product.deployment import ConnectAs
from tests.support.product.eventually import HANGS_AFTER_S, eventually

NEURONS_1 = "pylon.v1.event.neurons.1"
NEURONS_2 = "pylon.v1.event.neurons.2"


@pytest.fixture
async def worker(connect_as: ConnectAs) -> NatsConnection:
    connection = await connect_as("worker")
    await provision_streams(connection)
    return connection


async def publish(worker: NatsConnection, subject: str, *numbers: int) -> None:
    for number in numbers:
        await worker.nats.jetstream().publish(
            subject,
            json.dumps({"number": number, "hash": hash_of(number)}).encode(),
            headers={
                wire_headers.BLOCK_NUMBER: str(number),
                wire_headers.BLOCK_HASH: hash_of(number),
            },
        )


def hash_of(number: int) -> str:
    return f"0x{number:064x}"


async def following(feed: EventFeed) -> FeedEvent:
    async with asyncio.timeout(HANGS_AFTER_S):
        return await anext(feed)


async def numbers(feed: EventFeed, how_many: int) -> list[int]:
    return [(await following(feed)).block.number for _ in range(how_many)]


async def empty_log(_: str, after: BlockNumber | None = None) -> FeedEvent | None:
    return None


@asynccontextmanager
async def replaying(worker: NatsConnection) -> AsyncGenerator[None]:
    """A worker that answers what it is asked of the stream."""
    service = RequestServer(worker, identities={}, max_requests=10)
    ReplayHandlers(EventLog(worker)).register(service)
    await service.start()
    yield
    await service.drain(10)


async def test_a_feed_yields_the_last_value_then_every_new_one(worker: NatsConnection) -> None:
    await publish(worker, BLOCK_EVENTS, 1, 2, 3)
    async with EventFeed(worker, [BLOCK_EVENTS], EventLog(worker)) as feed:
        event = await following(feed)
        assert (event.subject, event.block.number, event.block.hash) == (
            BLOCK_EVENTS,
            3,
            hash_of(3),
        )
        assert json.loads(event.body)["number"] == 3
        await publish(worker, BLOCK_EVENTS, 4, 5)
        assert await numbers(feed, 2) == [4, 5]


async def test_values_that_are_not_newer_are_dropped_per_subject(
    worker: NatsConnection,
) -> None:
    async with EventFeed(worker, [BLOCK_EVENTS, NEURONS_1], empty_log) as feed:
        for subject in (BLOCK_EVENTS, NEURONS_1):
            await publish(worker, subject, 5, 5, 4, 6)
        got = [await following(feed) for _ in range(4)]
        for subject in (BLOCK_EVENTS, NEURONS_1):
            assert [event.block.number for event in got if event.subject == subject] == [5, 6]


async def test_a_wildcard_follows_every_subnet(worker: NatsConnection) -> None:
    async with EventFeed(worker, [ALL_NEURONS_EVENTS], EventLog(worker)) as feed:
        await publish(worker, NEURONS_1, 1)
        await publish(worker, NEURONS_2, 1)
        assert {(await following(feed)).subject for _ in range(2)} == {NEURONS_1, NEURONS_2}


async def test_no_value_is_lost_between_the_last_one_and_the_subscription(
    worker: NatsConnection,
) -> None:
    """A value published while the last one is being asked for arrives, and only once."""
    in_stream = EventLog(worker)
    await publish(worker, BLOCK_EVENTS, 1)

    async def last_while_publishing(
        subject: str, after: BlockNumber | None = None
    ) -> FeedEvent | None:
        event = await in_stream(subject, after)
        await publish(worker, BLOCK_EVENTS, 2)
        return event

    async with EventFeed(worker, [BLOCK_EVENTS], last_while_publishing) as feed:
        got = await numbers(feed, 1)
        if got == [1]:
            got += await numbers(feed, 1)
        await publish(worker, BLOCK_EVENTS, 3)
        got += await numbers(feed, 1)
    assert got in ([1, 2, 3], [2, 3])


async def test_after_an_outage_every_value_published_meanwhile_arrives(
    server: NatsServer, worker: NatsConnection, connect_as: ConnectAs
) -> None:
    reader = await connect_as("worker")
    got: dict[str, list[int]] = {BLOCK_EVENTS: [], NEURONS_1: []}

    async def follow_until(feed: EventFeed, number: int) -> None:
        while any(of[-1:] != [number] for of in got.values()):
            event = await following(feed)
            got[event.subject].append(event.block.number)

    async with EventFeed(reader, [BLOCK_EVENTS, ALL_NEURONS_EVENTS], EventLog(reader)) as feed:
        await publish(worker, BLOCK_EVENTS, 1)
        await publish(worker, NEURONS_1, 1)
        await follow_until(feed, 1)
        # Published while the reader's own connection is down, and the server is up.
        await reader.nats.force_reconnect()
        assert not reader.is_connected
        await publish(worker, BLOCK_EVENTS, 2, 3)
        await publish(worker, NEURONS_1, 2, 3)
        await follow_until(feed, 3)
        await server.restart()
        await eventually(lambda: worker.is_connected)
        for subject in (BLOCK_EVENTS, NEURONS_1):
            await publish(worker, subject, 4)
        await follow_until(feed, 4)
        assert feed.counts.replayed >= 2
        assert feed.counts.lost == 0
    assert got == {BLOCK_EVENTS: [1, 2, 3, 4], NEURONS_1: [1, 2, 3, 4]}


async def test_values_that_a_slow_reader_dropped_are_counted_and_read_from_the_stream(
    worker: NatsConnection, connect_as: ConnectAs
) -> None:
    reader = await connect_as("worker")
    async with EventFeed(reader, [BLOCK_EVENTS], EventLog(reader), max_pending_msgs=3) as feed:
        await publish(worker, BLOCK_EVENTS, *range(1, 30))
        await eventually(lambda: reader.counts.slow_consumer_drops > 0)
        got = await numbers(feed, 1)
        while got[-1] < 29:
            got += await numbers(feed, 1)
        assert got == list(range(got[0], 30))
        assert feed.counts.replayed > 0


async def test_a_feed_resumes_after_a_block(worker: NatsConnection) -> None:
    await publish(worker, BLOCK_EVENTS, *range(1, 8))
    feed = EventFeed(worker, [BLOCK_EVENTS], EventLog(worker), after=BlockNumber(4))
    async with feed:
        assert await numbers(feed, 3) == [5, 6, 7]
        await publish(worker, BLOCK_EVENTS, 8)
        assert await numbers(feed, 1) == [8]
        assert feed.counts.lost == 0


@pytest.mark.parametrize("user", ["worker", "alice"])
async def test_values_that_the_stream_has_dropped_are_reported_as_lost(
    worker: NatsConnection, connect_as: ConnectAs, user: str
) -> None:
    await publish(worker, BLOCK_EVENTS, *range(1, 51))
    reader = await connect_as(user)
    event_log = EventLog(reader) if user == "worker" else event_log_via_worker(reader)
    feed = EventFeed(reader, [BLOCK_EVENTS], event_log, after=BlockNumber(9))
    async with replaying(worker), feed:
        first = await following(feed)
        assert first.block.number == 51 - EVENTS.max_msgs_per_subject
        assert first.lost == range(10, first.block.number)
        assert await numbers(feed, 31) == list(range(20, 51))
        assert feed.counts.lost == len(first.lost)


async def test_numbers_that_were_never_published_are_not_lost(worker: NatsConnection) -> None:
    await publish(worker, BLOCK_EVENTS, 1)
    async with EventFeed(worker, [BLOCK_EVENTS], EventLog(worker)) as feed:
        assert await numbers(feed, 1) == [1]
        await publish(worker, BLOCK_EVENTS, 2, 5, 6)
        events = [await following(feed) for _ in range(3)]
        assert [event.block.number for event in events] == [2, 5, 6]
        assert not any(event.lost for event in events)
        assert feed.counts.gaps == 1


async def test_a_replica_that_lags_behind_is_read_again(worker: NatsConnection) -> None:
    """It knows nothing newer, though a later value has come already."""
    in_stream = EventLog(worker)
    lags = 2

    async def lagging(subject: str, after: BlockNumber | None = None) -> FeedEvent | None:
        nonlocal lags
        if after == 2 and lags:
            lags -= 1
            return None
        return await in_stream(subject, after)

    await publish(worker, BLOCK_EVENTS, 1, 2, 3, 4)
    # Pushed events start with 5.
    feed = EventFeed(worker, [BLOCK_EVENTS], lagging, after=BlockNumber(2))
    async with feed:
        await publish(worker, BLOCK_EVENTS, 5)
        assert await numbers(feed, 3) == [3, 4, 5]
        assert (lags, feed.counts.lost) == (0, 0)


async def test_values_of_a_purged_stream_are_reported_as_lost(worker: NatsConnection) -> None:
    await publish(worker, BLOCK_EVENTS, 1)
    async with EventFeed(worker, [BLOCK_EVENTS], empty_log) as feed:
        await publish(worker, BLOCK_EVENTS, 2, 5)
        assert await numbers(feed, 1) == [2]
        event = await following(feed)
        assert (event.block.number, event.lost) == (5, range(3, 5))


async def test_a_failing_read_of_the_last_value_is_retried_and_delays_nothing(
    worker: NatsConnection,
) -> None:
    refusals = 0

    async def refusing(subject: str, after: BlockNumber | None = None) -> FeedEvent | None:
        nonlocal refusals
        if subject == NEURONS_1:
            refusals += 1
            if refusals < 3:
                raise FailureError(ErrorCode.NATS_UNAVAILABLE, "not now")
        return await EventLog(worker)(subject, after)

    await publish(worker, NEURONS_1, 1)
    await publish(worker, BLOCK_EVENTS, 1)
    async with EventFeed(worker, [NEURONS_1, BLOCK_EVENTS], refusing) as feed:
        assert (await following(feed)).subject == BLOCK_EVENTS
        await publish(worker, BLOCK_EVENTS, 2)
        assert {(await following(feed)).subject for _ in range(2)} == {BLOCK_EVENTS, NEURONS_1}
        assert feed.counts.retries == 2


async def test_messages_that_are_not_events_are_skipped_and_counted(worker: NatsConnection) -> None:
    async with EventFeed(worker, [BLOCK_EVENTS], empty_log) as feed:
        await worker.nats.publish(BLOCK_EVENTS, b"{}")
        await worker.nats.publish(BLOCK_EVENTS, b"{}", headers={"Pylon-Block-Number": "x"})
        await publish(worker, BLOCK_EVENTS, 1)
        assert await numbers(feed, 1) == [1]
        assert feed.counts.skipped == 2


async def test_a_reader_that_stops_waiting_loses_nothing(worker: NatsConnection) -> None:
    async with EventFeed(worker, [BLOCK_EVENTS], empty_log) as feed:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await anext(feed)
        await publish(worker, BLOCK_EVENTS, 1, 2)
        assert await numbers(feed, 2) == [1, 2]


async def test_it_ends_with_its_connection(connect_as: ConnectAs) -> None:
    reader = await connect_as("alice")
    async with EventFeed(reader, [BLOCK_EVENTS], empty_log) as feed:
        waiting = asyncio.create_task(anext(feed))
        await asyncio.sleep(0)
        await reader.close()
        with pytest.raises(FailureError, match="NATS_UNAVAILABLE"):
            await waiting


@pytest.mark.parametrize("user", [None, "alice", "bridge"])
async def test_clients_get_missed_events_from_a_worker(
    worker: NatsConnection, connect_as: ConnectAs, user: str | None
) -> None:
    await publish(worker, BLOCK_EVENTS, 6, 7)
    await publish(worker, NEURONS_1, 7)
    reader = await connect_as(user)
    last = event_log_via_worker(reader)
    async with (
        replaying(worker),
        EventFeed(reader, [BLOCK_EVENTS, NEURONS_1, NEURONS_2], last) as feed,
    ):
        got = [await following(feed) for _ in range(2)]
        assert {(event.subject, event.block.number) for event in got} == {
            (BLOCK_EVENTS, 7),
            (NEURONS_1, 7),
        }
        await reader.nats.force_reconnect()
        await publish(worker, BLOCK_EVENTS, 8, 9, 10)
        assert await numbers(feed, 3) == [8, 9, 10]
        await publish(worker, BLOCK_EVENTS, 11)
        assert await numbers(feed, 1) == [11]


async def test_clients_cannot_read_the_stream(
    worker: NatsConnection, connect_as: ConnectAs
) -> None:
    await publish(worker, BLOCK_EVENTS, 1)
    reader = await connect_as("alice")
    with pytest.raises(FailureError, match="FORBIDDEN"):
        await reader.request(f"$JS.API.DIRECT.GET.{EVENTS.name}.{BLOCK_EVENTS}")
