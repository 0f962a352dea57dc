"""Which stream stores the events of a subject."""

from typing import Any
from unittest.mock import create_autospec

import pytest

from pylon.events import event_streams
from pylon.events.event_streams import EventStreams
from pylon_client.contract.topology import CHANGES, EVENTS
from pylon_client.nats.nats_connection import NatsConnection


@pytest.mark.parametrize(
    ("subject", "stream"),
    [
        ("pylon.v1.event.block", EVENTS.name),
        ("pylon.v1.event.neurons.1", EVENTS.name),
        ("pylon.v1.event.neurons.1.part.1", EVENTS.name),
        ("pylon.v1.event.changes.1", CHANGES.name),
        ("pylon.v1.event.changes.1.part.1", CHANGES.name),
    ],
)
def test_changes_have_a_stream_for_themselves(
    monkeypatch: pytest.MonkeyPatch, subject: str, stream: str
) -> None:
    def name_of(_connection: object, name: str, *_others: object) -> str:
        return name

    monkeypatch.setattr(event_streams, "StreamClient", name_of)
    streams = EventStreams(create_autospec(NatsConnection, instance=True))
    found: Any = streams.of(subject)
    assert found == stream
