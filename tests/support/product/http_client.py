"""HTTP clients of the tests, for requests to processes on this machine."""

import ssl
from functools import cache
from typing import Any

import httpx

from tests.support.product.eventually import HANGS_AFTER_S


def http_client(base_url: str = "", **options: Any) -> httpx.AsyncClient:
    """Return a client that ignores proxies and shares the certificates with the other clients.

    Loading the certificates takes longer than many requests.

    Args:
        base_url: as for `httpx.AsyncClient`.
        options: further options of `httpx.AsyncClient`.
    """
    settings: dict[str, Any] = {
        "timeout": HANGS_AFTER_S,
        "trust_env": False,
        "verify": _certificates(),
    }
    return httpx.AsyncClient(base_url=base_url, **(settings | options))


@cache
def _certificates() -> ssl.SSLContext:
    return ssl.create_default_context()
