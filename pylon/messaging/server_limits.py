"""What one nats-server lets its clients take, so that its memory has a bound.

Each connection can make the server store `max_pending` bytes that it does not read, one message that
it sends in part, and its subscriptions. With all connections at all limits that is

    340 connections x (8 MiB + 1 MiB + 256 subscriptions x 6 KiB) = 340 x 10.5 MiB = 3570 MiB

beside 256 MiB for the server itself and JetStream: less than the 4 GiB that the manifests give it.
Three servers take 1,020 connections. Whoever raises one of the numbers raises the memory with it;
`tests/security/test_nats_memory.py` tries them, and that every configuration has these.
"""

from typing import Final

MIB: Final = 1024 * 1024

MAX_PAYLOAD_BYTES: Final = 1 * MIB
"""The largest message. Larger replies and snapshots come in parts, and no request has more than
`REQUEST_MAX_BYTES`. A client that sends no more than the beginning of a message has it reserved."""
MAX_PENDING_BYTES: Final = 8 * MIB
"""What waits for one client that reads slowly, until the server disconnects it. Clients of Pylon
wait for half as much at once (`REPLIES_IN_FLIGHT_BYTES`)."""
MAX_CONNECTIONS: Final = 340
"""Clients of one server."""
MAX_SUBSCRIPTIONS: Final = 256
"""Subscriptions of one client. The bridge has one per event subject that is listened to."""
MAX_CONTROL_LINE_BYTES: Final = 2048
"""A line of the protocol, and so a subject, and the credentials of a client."""
SUBSCRIPTION_BYTES: Final = 6 * 1024
"""Measured: a subscription takes 1.3 kB, and some two bytes for each of its subject."""
SERVER_BYTES: Final = 256 * MIB
"""For the server itself and JetStream's caches."""
CONNECTION_BYTES: Final = (
    MAX_PENDING_BYTES + MAX_PAYLOAD_BYTES + MAX_SUBSCRIPTIONS * SUBSCRIPTION_BYTES
)
"""The most that one connection takes."""

GO_MEMORY_LIMIT: Final = "3840MiB"
"""`GOMEMLIMIT`: close to it, the server's garbage collector runs more often instead of letting the
memory grow."""

LIMITS: Final = {
    "max_payload": MAX_PAYLOAD_BYTES,
    "max_pending": MAX_PENDING_BYTES,
    "max_connections": MAX_CONNECTIONS,
    "max_subscriptions": MAX_SUBSCRIPTIONS,
    "max_control_line": MAX_CONTROL_LINE_BYTES,
}
"""As nats-server's configuration names them."""


def limits_text() -> str:
    """Return the limits as lines of a nats-server's configuration."""
    return "\n".join(f"{name}: {value}" for name, value in LIMITS.items())
