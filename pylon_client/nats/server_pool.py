"""Choice of the NATS server to connect to, and the delay before each attempt."""

import random
from typing import Any, Final
from urllib.parse import urlsplit

from nats.aio.client import Server

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.urls import check_nats_urls

RECONNECT_INITIAL_DELAY_S: Final = 0.05
RECONNECT_MAX_DELAY_S: Final = 2.0


def shuffle_nats_urls(urls: tuple[str, ...]) -> tuple[str, ...]:
    """Return the URLs in a random order, so that many processes spread over the servers.

    Raises:
        FailureError: INVALID; there is no URL, or a URL is not one of NATS or carries credentials,
            which the text of the error does not repeat.
    """
    try:
        check_nats_urls(urls)
    except ValueError as error:
        raise FailureError(ErrorCode.INVALID, f"A NATS URL {error}.") from None
    return tuple(random.sample(urls, len(urls)))


def host_and_port(url: str) -> str:
    """Return the host and port of a URL without anything else in it."""
    return urlsplit(url).netloc.rpartition("@")[2]


def next_server(servers: list[Server], _info: dict[str, Any]) -> tuple[Server | None, float]:
    """Return the server with the fewest failures, and the delay before the attempt in seconds.

    The delay doubles with each failure of the server, and has jitter.
    """
    random.shuffle(servers)
    server = min(servers, key=lambda server: server.reconnects)
    doublings = min(server.reconnects, 10)
    longest_s = min(RECONNECT_INITIAL_DELAY_S * 2**doublings, RECONNECT_MAX_DELAY_S)
    return server, random.uniform(longest_s / 2, longest_s)  # noqa: S311 -- jitter, no secret
