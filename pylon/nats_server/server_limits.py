"""What one nats-server lets its clients take, so that its memory has a bound.

Each connection can make the server store `max_pending` bytes that it does not read, one message of
which it sends a part, and its subscriptions. With all connections at all limits that is

    230 connections x (8 MiB + 1 MiB + 1,100 subscriptions x 6.5 KiB) = 230 x 16 MiB = 3.6 GiB

beside 256 MiB for the server itself and JetStream: less than the 4 GiB that the manifests give it.
Three servers take 690 connections. To raise one of the numbers, raise the memory with it.
`tests/system/security/test_nats_memory.py` applies them to a server and checks every configuration.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

MAX_PAYLOAD_BYTES: Final = 1 * MIB
"""The largest message. Larger replies and snapshots come in parts, and no request is larger than
`REQUEST_MAX_BYTES`. The server reserves all of a message when it has read its beginning."""
MAX_PENDING_BYTES: Final = 8 * MIB
"""What waits for one client that reads slowly, until the server disconnects it. Clients of Pylon
wait for half as much at once (`REPLIES_IN_FLIGHT_BYTES`)."""
MAX_CONNECTIONS: Final = 230
"""Clients of one server, those that give no token included."""
MAX_SUBSCRIPTIONS: Final = 1100
"""Subscriptions of one client. The bridge has one for each open stream of a job, of which there
may be 1,000, and one for each subject of events."""
MAX_SUBSCRIPTION_TOKENS: Final = 10
"""Tokens of a subject; Pylon's have up to 8. Each may take the server as much as a subscription."""
MAX_CONTROL_LINE_BYTES: Final = 1024
"""A line of the protocol: a subject, or the credentials with which a client connects."""
MAX_CLOSED_CLIENTS: Final = 16
"""Ended connections that the server keeps for its monitoring, each with all its subscriptions. Its
default of 10,000 lets one client that connects again and again take all memory."""
SUBSCRIPTION_BYTES: Final = 6 * KIB + 512
"""Of a subscription with the longest subject of the most tokens; measured."""
SERVER_BYTES: Final = 256 * MIB
"""For the server itself, JetStream's caches, and ended connections."""
CONNECTION_BYTES: Final = (
    MAX_PENDING_BYTES + MAX_PAYLOAD_BYTES + MAX_SUBSCRIPTIONS * SUBSCRIPTION_BYTES
)
"""The most that one connection takes."""

GO_MEMORY_LIMIT: Final = "3840MiB"
"""`GOMEMLIMIT`: near it, the server collects garbage more often instead of taking more memory."""

LIMITS: Final = {
    "max_payload": MAX_PAYLOAD_BYTES,
    "max_pending": MAX_PENDING_BYTES,
    "max_connections": MAX_CONNECTIONS,
    "max_subscriptions": MAX_SUBSCRIPTIONS,
    "max_subscription_tokens": MAX_SUBSCRIPTION_TOKENS,
    "max_control_line": MAX_CONTROL_LINE_BYTES,
    "max_closed_clients": MAX_CLOSED_CLIENTS,
}
"""As nats-server's configuration names them."""


def limits_text() -> str:
    """Return the limits as lines of a nats-server's configuration."""
    return "\n".join(f"{name}: {value}" for name, value in LIMITS.items())
