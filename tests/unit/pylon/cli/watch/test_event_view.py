"""Blocks and neurons as lines and rows."""

import io
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from rich.console import Console

from pylon.cli.watch import event_view
from pylon.cli.watch.event_view import NEURONS_SHOWN, watch_blocks, watch_neurons
from pylon_client.contract import json_codec
from pylon_client.contract.types import NetUid
from pylon_client.events.stored_events import NO_LOST_BLOCKS, FeedEvent
from pylon_client.samples import sample_block, sample_block_info, sample_neuron, sample_neurons
from tests.support.nats.fake_connection import FakeConnection
from tests.support.product.deployment import deployment_settings


class FakeFeed:
    """Yields events, and then ends."""

    def __init__(self, events: list[FeedEvent]) -> None:
        self._events = events

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_error: object) -> None:
        pass

    async def __aiter__(self) -> AsyncGenerator[FeedEvent]:
        for event in self._events:
            yield event


class Published:
    """The events and the subnets of the event stream."""

    def __init__(self) -> None:
        self.events: list[FeedEvent] = []
        self.subnets: list[NetUid] = []
        self.subjects: list[str] = []
        self.connection = FakeConnection()

    async def connect(self, _options: object) -> FakeConnection:
        return self.connection

    async def published_subnets(self, _connection: object) -> list[NetUid]:
        return self.subnets

    def feed(self, _connection: object, subjects: list[str], _event_log: object) -> Any:
        self.subjects = subjects
        return FakeFeed(self.events)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Published:
    published = Published()
    monkeypatch.setattr(event_view, "connect", published.connect)
    monkeypatch.setattr(event_view, "EventFeed", published.feed)
    monkeypatch.setattr(event_view, "published_subnets", published.published_subnets)
    return published


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=500)


def lines_of(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


async def test_each_block_is_a_line_with_the_number_of_missing_ones(
    published: Published, console: Console
) -> None:
    for number, lost in ((7, NO_LOST_BLOCKS), (10, range(8, 10))):
        body = json_codec.encode(sample_block_info(number))
        published.events.append(FeedEvent("x", sample_block(number), body, lost))
    await watch_blocks(deployment_settings(), console)
    first, second = (line.split() for line in lines_of(console))
    assert (first[0], first[3]) == ("7", sample_block(7).hash)
    assert (second[0], second[-1]) == ("10", "2")
    assert len(second) == len(first) + 1
    assert published.subjects == ["pylon.v1.event.block"]
    assert published.connection.closings == 1


async def test_neurons_are_summed_up_in_a_line(
    published: Published, console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot = sample_neurons(count=3, block_number=9)
    published.subnets = [NetUid(5)]
    published.events.append(FeedEvent("x", sample_block(9), json_codec.encode(snapshot)))
    await watch_neurons(deployment_settings(), NetUid(5), console)
    neurons = snapshot.neurons.values()
    permits = sum(neuron.validator_permit for neuron in neurons)
    stake = sum(neuron.stakes.total for neuron in neurons)
    assert lines_of(console) == [
        f"9 subnet 5: 3 neurons, {permits} with a permit, stake {stake:.3f}"
    ]
    assert published.subjects == ["pylon.v1.event.neurons.5"]
    assert not capsys.readouterr().err


@pytest.mark.parametrize(("subnets", "named"), [([], "none yet"), ([1, 12], "1, 12")])
async def test_a_subnet_without_published_neurons_is_reported(
    published: Published,
    console: Console,
    capsys: pytest.CaptureFixture[str],
    subnets: list[NetUid],
    named: str,
) -> None:
    published.subnets = subnets
    await watch_neurons(deployment_settings(), NetUid(5), console)
    error = capsys.readouterr().err
    assert f"about subnet 5; published subnets: {named}." in error
    assert "PYLON_TRACKED_NETUIDS" in error


def test_rows_are_ordered_by_stake_and_limited() -> None:
    rows_of: Any = vars(event_view)["_neuron_rows"]
    neurons = [sample_neuron(uid) for uid in range(NEURONS_SHOWN + 5)]
    by_stake = {
        neuron.hotkey: neuron.model_copy(
            update={"stakes": neuron.stakes.model_copy(update={"total": float(neuron.uid)})}
        )
        for neuron in neurons
    }
    rows = rows_of(sample_neurons().model_copy(update={"neurons": by_stake}))
    assert [row[0] for row in rows] == [str(uid) for uid in range(NEURONS_SHOWN + 4, 4, -1)]
