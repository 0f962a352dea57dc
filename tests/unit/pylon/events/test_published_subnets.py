"""Subnets in the event stream."""

import pytest

from pylon.events import published_subnets
from pylon_client.contract.subjects import ALL_NEURONS_EVENTS
from tests.support.nats.fake_connection import FakeConnection, as_connection


@pytest.mark.parametrize(
    ("stored", "netuids"),
    [
        ([], []),
        (["pylon.v1.event.neurons.12", "pylon.v1.event.neurons.2"], [2, 12]),
        (["pylon.v1.event.neurons.x", "pylon.v1.event.neurons.²", "pylon.v1.event.neurons.3"], [3]),
    ],
)
async def test_subnets_are_sorted_by_number(
    monkeypatch: pytest.MonkeyPatch, stored: list[str], netuids: list[int]
) -> None:
    class FakeStream:
        async def subjects(self, wildcard: str) -> list[str]:
            assert wildcard == ALL_NEURONS_EVENTS
            return stored

    monkeypatch.setattr(published_subnets, "StreamClient", lambda *_: FakeStream())
    connection = as_connection(FakeConnection())
    assert await published_subnets.published_subnets(connection) == netuids
