"""Counters of a connection to NATS, for metrics."""

from dataclasses import dataclass


@dataclass(slots=True)
class ConnectionCounts:
    """Counters of a connection since it was created.

    Attributes:
        disconnects: lost connections to a server.
        reconnects: reconnects to a server.
        slow_consumer_drops: received messages that were dropped because the callback was too slow.
        permission_violations: publishes and subscriptions that the server denied.
    """

    disconnects: int = 0
    reconnects: int = 0
    slow_consumer_drops: int = 0
    permission_violations: int = 0
