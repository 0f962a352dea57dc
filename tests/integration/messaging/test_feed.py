import asyncio
import json

import pytest

from pylon.messaging.call import Call
from pylon.messaging.provision import provision
from pylon.messaging.service import Service
from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import ALL_NEURONS_EVENTS, BLOCK_EVENTS
from pylon_client.contract.topology import EVENTS
from pylon_client.transport.connection import Connection
from pylon_client.transport.feed import (
    EventFeed,
    FeedEvent,
    LastValue,
    last_by_request,
    last_in_stream,
)
from tests.support.deployment import ConnectAs
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer

NEURONS_1 = "pylon.v1.event.neurons.1"
NEURONS_2 = "pylon.v1.event.neurons.2"


@pytest.fixture
async def worker(connect_as: ConnectAs) -> Connection:
    connection = await connect_as("worker")
    await provision(connection)
    return connection


async def publish(worker: Connection, subject: str, *numbers: int) -> None:
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
    async with asyncio.timeout(60):
        return await anext(feed)


async def numbers(feed: EventFeed, how_many: int) -> list[int]:
    return [(await following(feed)).block.number for _ in range(how_many)]


async def nothing_kept(_: str) -> FeedEvent | None:
    return None


async def test_first_comes_the_last_value_then_every_new_one(worker: Connection) -> None:
    await publish(worker, BLOCK_EVENTS, 1, 2, 3)
    async with EventFeed(worker, [BLOCK_EVENTS], last_in_stream(worker)) as feed:
        event = await following(feed)
        assert (event.subject, event.block.number, event.block.hash) == (
            BLOCK_EVENTS,
            3,
            hash_of(3),
        )
        assert json.loads(event.body)["number"] == 3
        await publish(worker, BLOCK_EVENTS, 4, 5)
        assert await numbers(feed, 2) == [4, 5]


async def test_what_is_not_newer_is_dropped_for_each_subject_by_itself(
    worker: Connection,
) -> None:
    async with EventFeed(worker, [BLOCK_EVENTS, NEURONS_1], nothing_kept) as feed:
        for subject in (BLOCK_EVENTS, NEURONS_1):
            await publish(worker, subject, 5, 5, 4, 6)
        got = [await following(feed) for _ in range(4)]
        for subject in (BLOCK_EVENTS, NEURONS_1):
            assert [event.block.number for event in got if event.subject == subject] == [5, 6]


async def test_a_wildcard_follows_every_subnet(worker: Connection) -> None:
    async with EventFeed(worker, [ALL_NEURONS_EVENTS], last_in_stream(worker)) as feed:
        await publish(worker, NEURONS_1, 1)
        await publish(worker, NEURONS_2, 1)
        assert {(await following(feed)).subject for _ in range(2)} == {NEURONS_1, NEURONS_2}


async def test_nothing_falls_between_the_last_value_and_the_subscription(
    worker: Connection,
) -> None:
    """A value published while the last one is being asked for arrives, and only once."""
    in_stream = last_in_stream(worker)
    await publish(worker, BLOCK_EVENTS, 1)

    async def last_while_publishing(subject: str) -> FeedEvent | None:
        event = await in_stream(subject)
        await publish(worker, BLOCK_EVENTS, 2)
        return event

    async with EventFeed(worker, [BLOCK_EVENTS], last_while_publishing) as feed:
        got = await numbers(feed, 1)
        if got == [1]:
            got += await numbers(feed, 1)
        await publish(worker, BLOCK_EVENTS, 3)
        got += await numbers(feed, 1)
    assert got in ([1, 2, 3], [2, 3])


async def test_after_a_break_the_newest_value_is_asked_for(
    server: NatsServer, worker: Connection, connect_as: ConnectAs
) -> None:
    reader = await connect_as("worker")
    async with EventFeed(
        reader, [BLOCK_EVENTS, ALL_NEURONS_EVENTS], last_in_stream(reader)
    ) as feed:
        await publish(worker, BLOCK_EVENTS, 1)
        await publish(worker, NEURONS_1, 1)
        await numbers(feed, 2)
        # Published while the reader's own connection is down, and the server is up.
        await reader.nats.force_reconnect()
        assert not reader.is_connected
        await publish(worker, BLOCK_EVENTS, 2, 3)
        await publish(worker, NEURONS_1, 2, 3)
        newest: dict[str, int] = {}
        while newest != {BLOCK_EVENTS: 3, NEURONS_1: 3}:
            event = await following(feed)
            newest[event.subject] = event.block.number
        await server.restart()
        await eventually(lambda: worker.is_connected)
        for subject in (BLOCK_EVENTS, NEURONS_1):
            await publish(worker, subject, 4)
        while newest != {BLOCK_EVENTS: 4, NEURONS_1: 4}:
            event = await following(feed)
            newest[event.subject] = event.block.number


async def test_a_slow_reader_gets_the_newest_at_last_and_is_counted(
    worker: Connection, connect_as: ConnectAs
) -> None:
    reader = await connect_as("worker")
    async with EventFeed(
        reader, [BLOCK_EVENTS], last_in_stream(reader), pending_max_msgs=3
    ) as feed:
        await publish(worker, BLOCK_EVENTS, *range(1, 30))
        await eventually(lambda: reader.counts.slow_consumer_drops > 0)
        got: list[int] = []
        while 29 not in got:
            got += await numbers(feed, 1)
        assert got == sorted(set(got))
        assert len(got) < 29


async def test_a_last_value_that_cannot_be_had_is_asked_for_again_and_holds_up_nothing(
    worker: Connection,
) -> None:
    refusals = 0

    async def refusing(subject: str) -> FeedEvent | None:
        nonlocal refusals
        if subject == NEURONS_1:
            refusals += 1
            if refusals < 3:
                raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "not now")
        return await last_in_stream(worker)(subject)

    await publish(worker, NEURONS_1, 1)
    await publish(worker, BLOCK_EVENTS, 1)
    async with EventFeed(worker, [NEURONS_1, BLOCK_EVENTS], refusing) as feed:
        assert (await following(feed)).subject == BLOCK_EVENTS
        await publish(worker, BLOCK_EVENTS, 2)
        assert {(await following(feed)).subject for _ in range(2)} == {BLOCK_EVENTS, NEURONS_1}
        assert feed.retries == 2


async def test_what_is_no_event_is_skipped_and_counted(worker: Connection) -> None:
    async with EventFeed(worker, [BLOCK_EVENTS], nothing_kept) as feed:
        await worker.nats.publish(BLOCK_EVENTS, b"{}")
        await worker.nats.publish(BLOCK_EVENTS, b"{}", headers={"Pylon-Block-Number": "x"})
        await publish(worker, BLOCK_EVENTS, 1)
        assert await numbers(feed, 1) == [1]
        assert feed.skipped == 2


async def test_a_reader_that_stops_waiting_loses_nothing(worker: Connection) -> None:
    async with EventFeed(worker, [BLOCK_EVENTS], nothing_kept) as feed:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await anext(feed)
        await publish(worker, BLOCK_EVENTS, 1, 2)
        assert await numbers(feed, 2) == [1, 2]


async def test_it_ends_with_its_connection(connect_as: ConnectAs) -> None:
    reader = await connect_as("alice")
    async with EventFeed(reader, [BLOCK_EVENTS], nothing_kept) as feed:
        waiting = asyncio.create_task(anext(feed))
        await asyncio.sleep(0)
        await reader.close()
        with pytest.raises(FailureError, match="NATS_UNAVAILABLE"):
            await waiting


@pytest.mark.parametrize("user", [None, "alice", "bridge"])
async def test_clients_get_the_last_value_by_asking_a_worker(
    worker: Connection, connect_as: ConnectAs, user: str | None
) -> None:
    asked: list[tuple[str, int | None]] = []

    async def handler(call: Call) -> bytes:
        asked.append((call.operation, call.netuid))
        if call.netuid == 2:
            raise FailureError(ErrorCode.NOT_FOUND, "Subnet 2 not found.")
        block = {"number": 7, "hash": hash_of(7)}
        found = block if call.operation == "block.latest" else {"block": block, "neurons": {}}
        return json.dumps(found).encode()

    handlers = {"block.latest": handler, "neurons.latest": handler}
    service = Service(worker, handlers, identities={}, max_requests=10)
    await service.start()
    reader = await connect_as(user)
    last: LastValue = last_by_request(reader)
    async with EventFeed(reader, [BLOCK_EVENTS, NEURONS_1, NEURONS_2], last) as feed:
        got = [await following(feed) for _ in range(2)]
        assert {(event.subject, event.block.number) for event in got} == {
            (BLOCK_EVENTS, 7),
            (NEURONS_1, 7),
        }
        await publish(worker, BLOCK_EVENTS, 8)
        assert await numbers(feed, 1) == [8]
    assert set(asked) == {("block.latest", None), ("neurons.latest", 1), ("neurons.latest", 2)}
    await service.drain(10)


async def test_the_stream_is_not_there_for_clients_to_ask(
    worker: Connection, connect_as: ConnectAs
) -> None:
    await publish(worker, BLOCK_EVENTS, 1)
    reader = await connect_as("alice")
    with pytest.raises(FailureError, match="FORBIDDEN"):
        await reader.request(f"$JS.API.DIRECT.GET.{EVENTS.name}.{BLOCK_EVENTS}")
