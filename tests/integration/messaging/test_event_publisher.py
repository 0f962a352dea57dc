import asyncio

import pytest
import pytest_asyncio

from pylon.blocks.publish_progress import PublishProgress
from pylon.blocks.publish_retries import retry_stream_request
from pylon.events.event_log import EventLog
from pylon.events.event_publisher import EventPublisher
from pylon.events.event_types import changes_event, neurons_event
from pylon_client.contract.subjects import NeuronsEventSubject
from pylon_client.contract.topology import CHANGES, EVENTS
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.events.stored_events import FeedEvent
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.chain.fake_chain import block_of
from tests.support.nats.replicas import Nats

pytestmark = pytest.mark.asyncio(loop_scope="module")

NETUID = NetUid(1)
BLOCKS = range(1, 21)
LARGE = b"x" * 20_000_000


@pytest_asyncio.fixture(loop_scope="module")
async def connection(nats: Nats) -> NatsConnection:
    return await nats.provision(EVENTS, CHANGES)


def event_of(number: int, body: bytes = b"{}") -> FeedEvent:
    return neurons_event(NETUID, block_of(number), body)


async def publish_by_all(publishers: list[EventPublisher], event: FeedEvent) -> None:
    """Publish an event by each publisher at once; each retries as in the product."""
    progress = PublishProgress()
    await asyncio.gather(
        *(retry_stream_request("publish", progress)(one.publish, event) for one in publishers)
    )


async def stored_numbers(connection: NatsConnection) -> list[int]:
    """The block numbers of the events that the stream keeps, in its order."""
    event_log = EventLog(connection)
    numbers: list[int] = []
    after: BlockNumber | None = BlockNumber(0)
    while event := await event_log(str(NeuronsEventSubject(NETUID)), after):
        numbers.append(event.block.number)
        after = event.block.number
    return numbers


async def test_events_of_concurrent_publishers_are_stored_once_and_in_order(
    connection: NatsConnection, nats: Nats
) -> None:
    publishers = [EventPublisher(await nats.connect(first)) for first in range(4)]
    for number in BLOCKS:
        await publish_by_all(publishers, event_of(number))
    assert await stored_numbers(connection) == list(BLOCKS)


async def test_a_large_event_published_by_many_at_once_is_stored_once_and_whole(
    connection: NatsConnection, nats: Nats
) -> None:
    publishers = [EventPublisher(await nats.connect(first)) for first in range(3)]
    await publish_by_all(publishers, event_of(1, LARGE))
    assert await stored_numbers(connection) == [1]
    event = await EventLog(connection)(str(NeuronsEventSubject(NETUID)))
    assert event is not None
    assert event.body == LARGE


async def test_large_changes_are_stored_whole_beside_their_neurons(
    connection: NatsConnection,
) -> None:
    publisher, event_log = EventPublisher(connection), EventLog(connection)
    events = [event_of(1, LARGE), changes_event(NETUID, block_of(1), LARGE[::2])]
    for event in events:
        await publisher.publish(event)
    assert [await event_log(event.subject) for event in events] == events
