"""The `/metrics` page: the bridge's metrics merged with those of the worker on this machine."""

import asyncio
import logging
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from bridge.http_metrics import BridgeMetrics

logger = logging.getLogger(__name__)

WORKER_TIMEOUT_S: Final = 3.0
"""Timeout for the worker's metrics, in seconds; shorter than Prometheus's scrape timeout."""
_REQUEST: Final = (
    "GET /metrics HTTP/1.1\r\nHost: worker\r\nAuthorization: Bearer {token}\r\n"
    "Connection: close\r\n\r\n"
)
_HELP: Final = "# HELP "
_TYPE: Final = "# TYPE "


class MetricsPage:
    """Renders the page of `/metrics`.

    If the worker does not reply, the page contains only the bridge's metrics.

    Args:
        metrics: metrics of the bridge.
        socket: Unix socket of the worker; None if the page shows only the bridge.
        token: token for the worker's metrics.
    """

    def __init__(self, metrics: BridgeMetrics, socket: Path | None, token: SecretStr) -> None:
        self._metrics = metrics
        self._socket = socket
        self._token = token
        self._is_up: bool | None = None
        if socket is not None:
            metrics.watch_worker(lambda: bool(self._is_up))

    async def text(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        if self._socket is None:
            return self._metrics.text()
        page = await self._fetch_worker_page(self._socket)
        if (page is not None) is not self._is_up:
            self._is_up = page is not None
            if page is None:
                logger.warning("Could not read the worker's metrics at %s", self._socket)
        own = self._metrics.text()
        return own if page is None else merge_pages(own.decode(), page).encode()

    async def _fetch_worker_page(self, socket: Path) -> str | None:
        """Return the worker's page, or None when it does not reply with one in time."""
        request = _REQUEST.format(token=self._token.get_secret_value())
        try:
            async with asyncio.timeout(WORKER_TIMEOUT_S):
                return await _fetch(socket, request.encode("latin-1", "replace"))
        except (OSError, ValueError):  # a timeout is an OSError
            return None


async def _fetch(socket: Path, request: bytes) -> str:
    """Send one HTTP request and return the body of the response.

    Raises:
        OSError: no process listens on the socket.
        ValueError: the response is incomplete, or its status is not 200.
    """
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(request)
        await writer.drain()
        response = await reader.read(-1)
    finally:
        writer.close()
    head, _, body = response.decode().partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    lengths = [field for field in fields if field.lower().startswith("content-length:")]
    if status.split(" ")[1:2] != ["200"] or len(lengths) != 1:
        raise ValueError(status)
    if int(lengths[0].partition(":")[2]) != len(body.encode()):
        raise ValueError("the response is incomplete")
    return body


def merge_pages(*pages: str) -> str:
    """Return one page with the families of several, each family once.

    A family that several pages have, such as `process_…`, gets the samples of all of them. They
    differ by the label `component`.

    Args:
        pages: as `prometheus_client` writes them, with a HELP and a TYPE line for each family.
    """
    families: dict[str, list[str]] = {}
    for page in pages:
        family: list[str] = []
        is_known = False
        for line in page.removesuffix("\n").split("\n"):
            if line.startswith(_HELP):
                name = line.split(" ", 3)[2]
                is_known = name in families
                family = families.setdefault(name, [])
            if not (is_known and line.startswith((_HELP, _TYPE))):
                family.append(line)
    return "".join(f"{line}\n" for family in families.values() for line in family)
