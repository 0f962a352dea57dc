"""Reads of the event stream by block number."""

import random

import pytest

from pylon.events.event_log import EventLog
from pylon.events.event_publisher import EventPublisher
from pylon.events.event_types import block_event
from pylon.jetstream.provision import provision_streams
from pylon_client.contract import headers
from pylon_client.contract.models import BlockInfo
from pylon_client.contract.subjects import BLOCK_EVENTS
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockNumber, Timestamp
from pylon_client.events.stored_events import FeedEvent
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.chain.fake_chain import block_of, hash_of
from tests.support.product.deployment import ConnectAs

SUBJECTS = [BLOCK_EVENTS, "pylon.v1.event.neurons.1", "pylon.v1.event.neurons.2"]


@pytest.fixture
async def worker(connect_as: ConnectAs) -> NatsConnection:
    connection = await connect_as("worker")
    await provision_streams(connection)
    return connection


def event(number: int, *, fork: int = 0) -> FeedEvent:
    info = BlockInfo(
        number=BlockNumber(number), hash=hash_of(number, fork), timestamp=Timestamp(number)
    )
    return block_event(info, hash_of(info.number - 1))


async def stored_hashes(worker: NatsConnection) -> list[str]:
    event_log, found, after = EventLog(worker), list[str](), BlockNumber(-1)
    while (following := await event_log(BLOCK_EVENTS, after)) is not None:
        found.append(following.block.hash)
        after = following.block.number
    return found


async def test_the_first_event_after_any_block_is_found_among_those_of_other_subjects(
    worker: NatsConnection,
) -> None:
    rng = random.Random(1)  # noqa: S311 -- a test's choices
    stream = EventPublisher(worker)
    published: dict[str, list[int]] = {subject: [] for subject in SUBJECTS}
    number = 0
    for _ in range(180):
        subject = rng.choice(SUBJECTS)
        number += rng.choice([1, 1, 1, 3])
        block = block_of(number)
        await stream.publish(FeedEvent(subject, block, b"{}"))
        published[subject].append(number)
    event_log = EventLog(worker)
    for subject in SUBJECTS:
        stored = published[subject][-EVENTS.max_msgs_per_subject :]
        assert len(published[subject]) > len(stored)
        for after in range(number + 2):
            found = await event_log(subject, BlockNumber(after))
            expected = next((of for of in stored if of > after), None)
            assert (None if found is None else found.block.number) == expected
            if found is not None:
                is_cut = after < stored[0]
                assert found.lost == (range(after + 1, stored[0]) if is_cut else range(0))


async def test_two_publishers_do_not_replace_each_others_blocks(
    worker: NatsConnection,
) -> None:
    one, other = EventPublisher(worker), EventPublisher(worker)
    await one.publish(event(1))
    await one.publish(event(2))
    await other.publish(event(3))
    await one.publish(event(3, fork=1))  # it still believes that it publishes, on another fork
    await one.publish(event(2, fork=1))
    await one.publish(event(4))
    await other.publish(event(4))
    await other.publish(event(5))
    assert await stored_hashes(worker) == [hash_of(number) for number in range(1, 6)]


async def test_messages_that_are_not_events_do_not_hide_events(worker: NatsConnection) -> None:
    rng = random.Random(2)  # noqa: S311 -- a test's choices
    context = worker.nats.jetstream()
    event_log = EventLog(worker)
    numbers: list[int] = []
    for number in range(1, 15):
        for _ in range(rng.choice([0, 1, 2])):
            number_text = rng.choice(["x", "-1", "4294967296", "٣", "1_0", " 7"])
            other = rng.choice([{"Status": "404"}, {headers.PART: "1/2"}, {"Nats-Sequence": "x"}])
            await context.publish(
                BLOCK_EVENTS,
                rng.choice([b"", b"?"]),
                headers={headers.BLOCK_NUMBER: number_text, **other},
            )
        if rng.random() < 0.8:
            await EventPublisher(worker).publish(event(number))
            numbers.append(number)
        for after in range(16):
            found = await event_log(BLOCK_EVENTS, BlockNumber(after))
            expected = next((of for of in numbers if of > after), None)
            assert (None if found is None else found.block.number) == expected
        newest = await event_log(BLOCK_EVENTS)
        assert [newest.block.number if newest else None] == (numbers[-1:] or [None])
        last = await EventPublisher(worker).last_block(BLOCK_EVENTS)
        assert last == (block_of(numbers[-1]) if numbers else None)


async def test_a_message_that_is_not_an_event_does_not_stop_the_publisher(
    worker: NatsConnection,
) -> None:
    stream = EventPublisher(worker)
    await stream.publish(event(1))
    await worker.nats.jetstream().publish(BLOCK_EVENTS, b"not an event")
    assert await EventPublisher(worker).last_block(BLOCK_EVENTS) == block_of(1)
    await EventPublisher(worker).publish(event(2))
    found = await EventLog(worker)(BLOCK_EVENTS)
    assert found is not None
    assert found.block == block_of(2)
