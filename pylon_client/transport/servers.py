"""Which NATS servers to try, and after what wait."""

import random
from typing import Any, Final
from urllib.parse import urlsplit

from nats.aio.client import Server

from pylon_client.contract.failures import ErrorCode, FailureError

RECONNECT_FIRST_WAIT_S: Final = 0.05
RECONNECT_LONGEST_WAIT_S: Final = 2.0


def checked_urls(urls: tuple[str, ...]) -> tuple[str, ...]:
    """The same URLs in an order of chance, so that many processes spread over the servers.

    Raises:
        FailureError: INVALID; there is none, or one is no NATS URL, or carries credentials, which
            its text does not repeat.
    """
    if not urls:
        raise FailureError(ErrorCode.INVALID, "No NATS URL is given.")
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in {"nats", "tls"} or not parts.hostname:
            raise FailureError(
                ErrorCode.INVALID, "A NATS URL must look like nats://host:port or tls://host:port."
            )
        if "@" in parts.netloc:
            raise FailureError(
                ErrorCode.INVALID,
                f"The NATS URL of {place(url)} carries credentials: configure user and token.",
            )
    return tuple(random.sample(urls, len(urls)))


def place(url: str) -> str:
    """Host and port alone, whatever else a URL carries."""
    return urlsplit(url).netloc.rpartition("@")[2]


def next_server(servers: list[Server], _info: dict[str, Any]) -> tuple[Server | None, float]:
    """The server that failed least often, and a jittered wait that doubles with its failures."""
    random.shuffle(servers)
    server = min(servers, key=lambda server: server.reconnects)
    doublings = min(server.reconnects, 10)
    longest_s = min(RECONNECT_FIRST_WAIT_S * 2**doublings, RECONNECT_LONGEST_WAIT_S)
    return server, random.uniform(longest_s / 2, longest_s)  # noqa: S311 -- jitter, no secret
