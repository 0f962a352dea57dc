"""The control API of a devnet: JSON over HTTP, on loopback only.

Every control is a path. Its parameters are members of a JSON object in the body, or of the query.
`GET /` lists the controls.
"""

import asyncio
import inspect
import socket
import sqlite3
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from pylon_devnet.state_history import StateDiscardedError

_HOST = "127.0.0.1"
_CONNECTION_TIMEOUT_S = 60.0
_CLOSE_TIMEOUT_S = 1
_STARTED_POLL_S = 0.01
_MAX_BODY_BYTES = 4 << 20

Control = Callable[..., Any | Awaitable[Any]]


class ControlServer:
    """Serves the controls of one devnet.

    Args:
        controls: controls by method and path.
        fail: stops the devnet because of an error of its database.
    """

    def __init__(
        self,
        controls: Mapping[tuple[str, str], Control],
        fail: Callable[[Exception], None],
    ) -> None:
        self._controls: dict[tuple[str, str], Control] = {("GET", "/"): self._index, **controls}
        self._fail = fail
        self._server: _EmbeddedServer | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self, port: int) -> int:
        """Listen on loopback; return the port."""
        listener = socket.create_server((_HOST, port))
        app = Starlette(
            routes=[Route("/{path:path}", self._respond, methods=["GET", "POST", "DELETE"])]
        )
        config = uvicorn.Config(
            app,
            http=_TimeLimitedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSE_TIMEOUT_S,
        )
        server = self._server = _EmbeddedServer(config)
        self._serving = asyncio.create_task(server.serve([listener]))
        while not server.started and not self._serving.done():  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(_STARTED_POLL_S)
        return int(listener.getsockname()[1])

    async def stop(self) -> None:
        """Stop listening, and cancel the requests in progress."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            for task in tuple(self._server.server_state.tasks):
                task.cancel()
            await self._serving

    def _index(self) -> list[str]:
        return [f"{method} {path}" for method, path in self._controls]

    async def _respond(self, request: Request) -> Response:
        """Execute a control, unless its client disconnects before that."""
        try:
            body = await _read_body(request)
        except ClientDisconnect:
            return _NO_RESPONSE
        if body is None:
            return _response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"{}")
        executing = asyncio.create_task(self._execute(request, body))
        disconnecting = asyncio.create_task(_wait_for_disconnect(request))
        try:
            await asyncio.wait({executing, disconnecting}, return_when=asyncio.FIRST_COMPLETED)
            return _response(*executing.result()) if executing.done() else _NO_RESPONSE
        finally:
            for task in (executing, disconnecting):
                task.cancel()
            await asyncio.gather(executing, disconnecting, return_exceptions=True)

    async def _execute(self, request: Request, body: bytes) -> tuple[HTTPStatus, bytes]:
        method, path = request.method, request.url.path
        control = self._controls.get((method, path))
        if control is None:
            return HTTPStatus.NOT_FOUND, _detail(f"unknown control: {method} {path}")
        try:
            given = _parse_query(control, request.query_params)
            if body.strip():
                given |= msgspec.json.decode(body, type=dict[str, Any])
            inspect.signature(control).bind(**given)
            result = control(**given)
            if inspect.isawaitable(result):
                result = await result
        except (TypeError, ValueError, StateDiscardedError) as error:
            return HTTPStatus.BAD_REQUEST, _detail(str(error))
        except sqlite3.Error as error:
            self._fail(error)
            text = f"could not write or read the chain: {error}; the devnet stops"
            return HTTPStatus.INSUFFICIENT_STORAGE, _detail(text)
        return HTTPStatus.OK, msgspec.json.encode(result)


class _EmbeddedServer(uvicorn.Server):
    """A server that leaves signals to the devnet's process."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Install no signal handlers."""
        yield


class _TimeLimitedProtocol(H11Protocol):
    """HTTP/1.1 with a limit on the duration of a connection, which serves one request."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, and schedule its end."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(_CONNECTION_TIMEOUT_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer of a closed connection."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _read_body(request: Request) -> bytes | None:
    """Read the body of a request; return None if it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            return None
    return bytes(body)


def _response(status: HTTPStatus, body: bytes) -> Response:
    return Response(body, status, {"Connection": "close"}, media_type="application/json")


_NO_RESPONSE = Response(status_code=HTTPStatus.REQUEST_TIMEOUT)
"""The response for a client that has disconnected; never delivered."""


def _parse_query(control: Control, query: Mapping[str, str]) -> dict[str, Any]:
    """Convert the parameters of a query to the types of the control's parameters."""
    parameters = inspect.signature(control).parameters
    numbers: dict[Any, Callable[[str], Any]] = {int: int, float: float}
    return {
        name: numbers.get(parameters[name].annotation, str)(text) if name in parameters else text
        for name, text in query.items()
    }


def _detail(text: str) -> bytes:
    return msgspec.json.encode({"detail": text})
