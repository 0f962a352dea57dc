"""Each snapshot is followed by its changes; after a failure, nothing is missing between them."""

import pytest

from pylon.blocks.neurons_event_publisher import NeuronsEventPublisher
from pylon.events.event_types import changes_event, neurons_event
from pylon_client.contract import json_codec
from pylon_client.contract.failures import FailureError
from pylon_client.contract.models import SubnetNeurons
from pylon_client.contract.snapshot_changes import apply_changes
from pylon_client.contract.types import NetUid
from pylon_client.events.stored_events import FeedEvent
from pylon_client.testing import sample_neuron
from tests.support.chain.fake_chain import block_of
from tests.support.wire.fake_stream import NATS_DOWN, FakeStream

NETUID = NetUid(1)
SNAPSHOTS, CHANGES = "pylon.v1.event.neurons.1", "pylon.v1.event.changes.1"


def snapshot_at(number: int) -> FeedEvent:
    """Return a snapshot in which each neuron has another rank than at other blocks."""
    neurons = [sample_neuron(uid, rank=1 / number) for uid in range(number % 3 + 1)]
    value = SubnetNeurons(
        block=block_of(number), neurons={neuron.hotkey: neuron for neuron in neurons}
    )
    return neurons_event(NETUID, value.block, json_codec.encode(value))


def replayed(stream: FakeStream) -> list[int]:
    """Apply all changes to the first snapshot of the stream, and return the reached blocks."""
    (body, *_) = [event.body for event in stream.events if event.subject == SNAPSHOTS]
    reached: list[int] = []
    for event in stream.events:
        if event.subject == CHANGES:
            body = apply_changes(body, event.body)
            assert body == snapshot_at(event.block.number).body
            reached.append(event.block.number)
    return reached


async def test_a_snapshot_is_followed_by_the_changes_since_the_one_before() -> None:
    stream = FakeStream()
    publisher = NeuronsEventPublisher(NETUID, stream)
    for number in (5, 6, 9):
        await publisher.publish(snapshot_at(number))
    assert [(event.subject, event.block.number) for event in stream.events] == [
        (SNAPSHOTS, 5),
        (SNAPSHOTS, 6),
        (CHANGES, 6),
        (SNAPSHOTS, 9),
        (CHANGES, 9),
    ]
    assert replayed(stream) == [6, 9]


async def test_another_publisher_continues_with_the_newest_stored_snapshot() -> None:
    stream = FakeStream()
    stream.events.append(snapshot_at(4))
    stream.events.append(snapshot_at(5))
    await NeuronsEventPublisher(NETUID, stream).publish(snapshot_at(6))
    (changes,) = [event for event in stream.events if event.subject == CHANGES]
    assert apply_changes(snapshot_at(5).body, changes.body) == snapshot_at(6).body


async def test_changes_that_a_killed_publisher_left_out_are_published_by_the_next_one() -> None:
    stream = FakeStream()
    killed = NeuronsEventPublisher(NETUID, stream)
    for number in (5, 6):
        await killed.publish(snapshot_at(number))
    stream.events.append(snapshot_at(7))
    await NeuronsEventPublisher(NETUID, stream).publish(snapshot_at(8))
    assert replayed(stream) == [6, 7, 8]


@pytest.mark.parametrize("lost", ["refusals", "unanswered"])
async def test_a_failed_snapshot_is_published_again_with_its_changes(lost: str) -> None:
    stream = FakeStream()
    publisher = NeuronsEventPublisher(NETUID, stream)
    await publisher.publish(snapshot_at(5))
    for failures in (1, 2):
        setattr(stream, lost, failures)
        for _ in range(failures):
            with pytest.raises(FailureError, match=NATS_DOWN.failure.detail):
                await publisher.publish(snapshot_at(5 + failures))
        await publisher.publish(snapshot_at(5 + failures))
    assert stream.numbers(SNAPSHOTS) == [5, 6, 7]
    assert replayed(stream) == [6, 7]


async def test_an_invalid_stored_snapshot_costs_only_its_own_changes() -> None:
    stream = FakeStream()
    stream.events.append(neurons_event(NETUID, block_of(4), b"not a snapshot"))
    publisher = NeuronsEventPublisher(NETUID, stream)
    for number in (5, 6):
        await publisher.publish(snapshot_at(number))
    assert stream.numbers(CHANGES) == [6]
    assert stream.events[-1] == changes_event(NETUID, block_of(6), stream.events[-1].body)
