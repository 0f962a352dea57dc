"""Which NATS servers to try, and after what wait."""

import random
from typing import Any, Final
from urllib.parse import urlsplit

from nats.aio.client import Server

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.urls import check_nats_urls

RECONNECT_INITIAL_DELAY_S: Final = 0.05
RECONNECT_MAX_DELAY_S: Final = 2.0


def shuffle_nats_urls(urls: tuple[str, ...]) -> tuple[str, ...]:
    """The same URLs in an order of chance, so that many processes spread over the servers.

    Raises:
        FailureError: INVALID; there is none, or one is no NATS URL, or carries credentials, which
            its text does not repeat.
    """
    try:
        check_nats_urls(urls)
    except ValueError as error:
        raise FailureError(ErrorCode.INVALID, f"A NATS URL {error}.") from None
    return tuple(random.sample(urls, len(urls)))


def host_and_port(url: str) -> str:
    """Host and port alone, whatever else a URL carries."""
    return urlsplit(url).netloc.rpartition("@")[2]


def next_server(servers: list[Server], _info: dict[str, Any]) -> tuple[Server | None, float]:
    """The server that failed least often, and a jittered wait that doubles with its failures."""
    random.shuffle(servers)
    server = min(servers, key=lambda server: server.reconnects)
    doublings = min(server.reconnects, 10)
    longest_s = min(RECONNECT_INITIAL_DELAY_S * 2**doublings, RECONNECT_MAX_DELAY_S)
    return server, random.uniform(longest_s / 2, longest_s)  # noqa: S311 -- jitter, no secret
