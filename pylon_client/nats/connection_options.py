"""How to reach NATS."""

import ssl
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How to reach NATS, and as whom.

    Attributes:
        urls: servers of one cluster, `nats://host:port` or `tls://host:port`, without credentials.
        user: the NATS user; None connects without credentials, which an open deployment takes
            for the user `open`.
        inbox_user: whose inboxes receive the replies, for a server process that connects without
            credentials; None for the user's own.
        password: that user's password: for an identity its token.
        name: what the connection is called in the server's monitoring.
        tls: how to check servers that speak TLS; None for the system's way.
        connect_timeout_s: how long the first connect may take in all.
    """

    urls: tuple[str, ...]
    user: str | None = None
    password: str = field(default="", repr=False)
    name: str = "pylon"
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    connect_timeout_s: float = 5.0
    inbox_user: str | None = None
