"""The streams that store events."""

from typing import Final

from pylon.jetstream.stream_client import StreamClient
from pylon.jetstream.write_health import WriteHealth
from pylon_client.contract.subjects import CHANGES_PREFIX
from pylon_client.contract.topology import CHANGES, EVENTS
from pylon_client.nats.nats_connection import NatsConnection

_LABEL: Final = "The event stream"


class EventStreams:
    """The clients of the streams that store events; changes have a stream for themselves.

    Versions without changes accept no other subjects in the stream of blocks and neurons.

    Args:
        connection: as the user `worker`.
        health: records which writes are stored.
    """

    def __init__(self, connection: NatsConnection, health: WriteHealth | None = None) -> None:
        self._events = StreamClient(connection, EVENTS.name, _LABEL, health)
        self._changes = StreamClient(connection, CHANGES.name, _LABEL, health)

    def of(self, subject: str) -> StreamClient:
        """Return the stream that stores the events of a subject."""
        return self._changes if subject.startswith(CHANGES_PREFIX) else self._events
