"""The HTTP server of a worker: `/livez`, `/readyz` and `/metrics`."""

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from pylon.common.metrics_access import metrics_access_error
from pylon.common.process_metrics import CONTENT_TYPE
from pylon.worker.backends import WorkerError
from pylon.worker.health import WorkerHealth
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

CONNECTION_TIMEOUT_S: Final = 10.0
"""Maximum duration of a connection, in seconds; each serves one request."""
CLOSE_TIMEOUT_S: Final = 1.0
"""Timeout for responses in progress when the server stops, in seconds."""
_STARTED_POLL_S: Final = 0.01
_HEADERS: Final = {"Connection": "close", "Cache-Control": "no-store"}


class HealthServer:
    """`async with HealthServer(…):` serves `/livez`, `/readyz` and `/metrics`.

    It runs on the worker's main loop: while that is blocked, a probe gets no response and fails by
    its timeout.

    Args:
        host: the address to listen on, or the path of a Unix socket.
        port: the port; 0 lets the system choose. Ignored for a Unix socket.
        health: state for the probes. A lost connection to NATS or the chain does not affect
            liveness.
        metrics: metrics for `/metrics`.
        metrics_token: bearer token for `/metrics`; if empty, `/metrics` returns 403.

    Attributes:
        port: the port on which it listens.
    """

    def __init__(
        self,
        host: str | Path,
        port: int = 0,
        *,
        health: WorkerHealth,
        metrics: WorkerMetrics,
        metrics_token: SecretStr,
    ) -> None:
        self.port = port
        self._host = host
        self._health = health
        self._metrics = metrics
        self._token = metrics_token
        self._server: _ProbeServer | None = None
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start to listen.

        Raises:
            OSError: the port is in use, or the socket cannot be created.
        """
        sockets = _listen(self._host, self.port)
        app = Starlette(
            routes=[
                Route("/livez", self._livez),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics_page),
            ]
        )
        app.router.redirect_slashes = False
        config = uvicorn.Config(
            app,
            http=_ProbeProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(CLOSE_TIMEOUT_S),
        )
        server = self._server = _ProbeServer(config)
        self._serving = asyncio.create_task(server.serve(sockets), name="health server")
        while not server.started and not self._serving.done():  # noqa: ASYNC110 -- uvicorn has no event
            await asyncio.sleep(_STARTED_POLL_S)
        if self._serving.done():
            self._serving.result()
        if not isinstance(self._host, Path):
            self.port = sockets[0].getsockname()[1]
            logger.info("Health and metrics on http://%s:%d", self._host, self.port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        if isinstance(self._host, Path):
            self._host.unlink(missing_ok=True)

    async def _livez(self, _request: Request) -> Response:
        return _probe_response(self._health.liveness_problems(), [])

    async def _readyz(self, _request: Request) -> Response:
        problems = self._health.readiness_problems()
        return _probe_response(problems, [] if problems else self._health.warnings())

    async def _metrics_page(self, request: Request) -> Response:
        error = metrics_access_error(request.headers.get("Authorization"), self._token)
        if error is not None:
            return PlainTextResponse(f"{error}\n", HTTPStatus.FORBIDDEN, _HEADERS)
        headers = {**_HEADERS, "Content-Type": CONTENT_TYPE}
        return Response(self._metrics.text(), HTTPStatus.OK, headers)


async def serve_health(
    stack: AsyncExitStack, settings: WorkerSettings, health: WorkerHealth, metrics: WorkerMetrics
) -> None:
    """Serve probes and metrics on the configured port and Unix socket until `stack` is closed.

    Raises:
        WorkerError: an address cannot be listened on.
    """
    addresses: list[tuple[str | Path, int]] = []
    if settings.health_port is not None:
        addresses.append((settings.health_host, settings.health_port))
    if settings.worker_health_socket is not None:
        addresses.append((settings.worker_health_socket, 0))
    for host, port in addresses:
        server = HealthServer(
            host, port, health=health, metrics=metrics, metrics_token=settings.metrics_token
        )
        try:
            await stack.enter_async_context(server)
        except OSError as error:
            address = str(host) if isinstance(host, Path) else f"{host} port {port}"
            raise WorkerError(f"it cannot listen on {address}: {error.strerror or error}") from None


class _ProbeServer(uvicorn.Server):
    """A server that leaves signals to the worker."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Install no signal handlers."""
        yield


class _ProbeProtocol(H11Protocol):
    """HTTP/1.1 with a limit on the duration of a connection."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, and schedule its end."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(CONNECTION_TIMEOUT_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up a connection that was closed."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)


def _probe_response(problems: list[str], warnings: list[str]) -> Response:
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    lines = problems or ["ok", *warnings]
    return PlainTextResponse("".join(f"{line}\n" for line in lines), status, _HEADERS)


def _listen(host: str | Path, port: int) -> list[socket.socket]:
    """Return bound sockets: one for a Unix socket, one per address of a host.

    Raises:
        OSError: an address cannot be bound.
    """
    if isinstance(host, Path):
        return [_listen_unix(host)]
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
            sockets.append(listener)
        stack.pop_all()
    return sockets


def _listen_unix(path: Path) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):  # left by an earlier process
            path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    return listener
