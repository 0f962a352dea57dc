"""Limits for the clients of one nats-server, so that its memory is bounded.

Each connection can make the server store `max_pending` unread bytes, one partially sent message,
and its subscriptions. With all connections at all limits that is

    230 connections x (8 MiB + 1 MiB + 1,100 subscriptions x 6.5 KiB) = 230 x 16 MiB = 3.6 GiB

in addition to 256 MiB for the server itself and JetStream: less than the 4 GiB of the manifests.
Three servers accept 690 connections. If you raise one of the numbers, raise the memory as well.
`tests/system/security/test_nats_memory.py` applies them to a server and checks every configuration.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

MAX_PAYLOAD_BYTES: Final = 1 * MIB
"""Maximum size of a message. Larger replies and snapshots are sent in parts; requests have at most
`MAX_REQUEST_BYTES`. The server reserves the memory of a message when it has read its beginning."""
MAX_PENDING_BYTES: Final = 8 * MIB
"""Maximum unread data of a slow client, after which the server disconnects it. Clients of Pylon
request half as much at once (`REPLIES_IN_FLIGHT_BYTES`)."""
MAX_CONNECTIONS: Final = 230
"""Clients of one server, including clients without a token."""
MAX_SUBSCRIPTIONS: Final = 1100
"""Subscriptions of one client. The bridge has one for each open stream of a job, at most 1,000, and
one for each event subject."""
MAX_SUBSCRIPTION_TOKENS: Final = 10
"""Tokens of a subject; Pylon's have up to 8. A token may need as much memory as a subscription."""
MAX_CONTROL_LINE_BYTES: Final = 1024
"""Maximum length of a protocol line, such as the credentials of a client."""
MAX_CLOSED_CLIENTS: Final = 16
"""Closed connections that the server stores for its monitoring, each with its subscriptions. With
the default of 10,000 a client that reconnects repeatedly could exhaust the memory."""
SUBSCRIPTION_BYTES: Final = 6 * KIB + 512
"""Memory of a subscription with the longest subject and the most tokens, as measured."""
SERVER_BYTES: Final = 256 * MIB
"""Memory of the server itself, JetStream's caches, and closed connections."""
CONNECTION_BYTES: Final = (
    MAX_PENDING_BYTES + MAX_PAYLOAD_BYTES + MAX_SUBSCRIPTIONS * SUBSCRIPTION_BYTES
)
"""Maximum memory of one connection."""

GO_MEMORY_LIMIT: Final = "3840MiB"
"""`GOMEMLIMIT`: near this limit, the server collects garbage more often."""

LIMITS: Final = {
    "max_payload": MAX_PAYLOAD_BYTES,
    "max_pending": MAX_PENDING_BYTES,
    "max_connections": MAX_CONNECTIONS,
    "max_subscriptions": MAX_SUBSCRIPTIONS,
    "max_subscription_tokens": MAX_SUBSCRIPTION_TOKENS,
    "max_control_line": MAX_CONTROL_LINE_BYTES,
    "max_closed_clients": MAX_CLOSED_CLIENTS,
}
"""The limits by their name in nats-server's configuration."""


def limits_text() -> str:
    """Return the limits as lines of a nats-server's configuration."""
    return "\n".join(f"{name}: {value}" for name, value in LIMITS.items())
