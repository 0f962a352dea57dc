"""Options of a connection to NATS."""

import ssl
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Options of a connection to NATS.

    Attributes:
        urls: servers of one cluster, `nats://host:port` or `tls://host:port`, without credentials.
        user: the NATS user; None connects without credentials, which a deployment without
            passwords maps to the user `open`.
        inbox_user: the user whose inboxes receive the replies, for a server process that connects
            without credentials; None for `user`.
        password: the user's password: for an identity its token.
        name: the name of the connection in the server's monitoring.
        tls: TLS settings for `tls://` servers; None for the defaults of the system.
        connect_timeout_s: timeout of the first connect to all servers together, in seconds.
    """

    urls: tuple[str, ...]
    user: str | None = None
    password: str = field(default="", repr=False)
    name: str = "pylon"
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    connect_timeout_s: float = 5.0
    inbox_user: str | None = None
