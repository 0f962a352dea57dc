"""Security headers of responses, and limits on the use of one connection."""

import asyncio
from typing import Any, ClassVar, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bridge.open_connections import Connections, Reason, Stage
from bridge.problems import problem_response
from bridge.root_path import route_path
from bridge.routes.api_documents import SCHEMA_PATH
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import REQUEST_MAX_BYTES

HEAD_MAX_BYTES: Final = 32 * 1024
"""Of the path, the query and the headers together; tokens and cookies take a few hundred."""
HEAD_TOO_LARGE: Final = 431
HEAD_WITHIN_S: Final = 30.0
"""Seconds within which a request's head arrives, from the connection's or its own first byte on."""
STALLED_AFTER_S: Final = 90.0
"""Seconds without any progress after which a caller that does not read its response is cut off."""

_STATUS_LINES: Final = {408: "Request Timeout", 503: "Service Unavailable"}

_CLOSED: Final = "default-src 'none'; frame-ancestors 'none'"
_PAGE: Final = (
    # The page's own scripts and styles stand within it.
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Not `Strict-Transport-Security`: it binds a whole host, and whoever ends TLS there decides it."""


class SecurityHeaders:
    """Tells browsers to take every answer for what it is, and to do nothing else with it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ASGI's entry point."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = _PAGE if route_path(scope).startswith(f"{SCHEMA_PATH}/") else _CLOSED

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers["Content-Security-Policy"] = policy
            await send(message)

        await self._app(scope, receive, send_with_headers)


class BoundedHead:
    """Refuses a request whose head is larger than `HEAD_MAX_BYTES`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ASGI's entry point."""
        if scope["type"] == "http" and _head_bytes(scope) > HEAD_MAX_BYTES:
            detail = f"The path and the headers have at most {HEAD_MAX_BYTES} bytes."
            failure = FailureError(ErrorCode.INVALID, detail).failure
            await problem_response(failure, HEAD_TOO_LARGE)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _head_bytes(scope: Scope) -> int:
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return len(scope.get("raw_path") or b"") + len(scope["query_string"]) + fields


class BoundedProtocol(HttpToolsProtocol):
    """The server's HTTP, which gives up a caller that sends on and on what nobody reads.

    The parser keeps a header until it is complete, and bounds nothing. What comes of a body once
    the answer is sent is thrown away, for a while: a caller that hears of the answer stops.

    The server itself limits no time but that of an idle connection, and no number of connections.

    Attributes:
        bounds: all connections of this server.
        head_within_s: seconds within which a head arrives.
        stalled_after_s: seconds after which a caller that reads nothing is cut off.
    """

    bounds: ClassVar[Connections]
    head_within_s: ClassVar[float] = HEAD_WITHIN_S
    stalled_after_s: ClassVar[float] = STALLED_AFTER_S

    _without_body_bytes = 0
    _unread_bytes = 0
    _has_come_on = False
    _unanswered = 0
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it where there are too many."""
        super().connection_made(transport)
        if self.bounds.enter(self):
            self._expect_head()
        else:
            self._refuse(503, "There are too many connections: try again later.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection that was closed."""
        self.bounds.leave(self)
        self._cancel_head_timer()
        self._cancel_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come, if a new request or more of a body is not too long ago."""
        if self.transport.is_closing():
            return  # it was refused
        self._without_body_bytes += len(data)
        if self._head_timer is None and not self._unanswered:
            self.bounds.move(self, Stage.HEAD)
            self._expect_head()
        super().data_received(data)
        if self._has_come_on:
            self._without_body_bytes, self._has_come_on = 0, False
        elif self._without_body_bytes > HEAD_MAX_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._has_come_on = True
        self._unread_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head of a request is there."""
        self._cancel_head_timer()
        self._unanswered += 1
        self.bounds.move(self, Stage.BODY)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """More of its body has come."""
        self._has_come_on = True
        if self.cycle.response_complete:
            self._unread_bytes += len(body)
            if self._unread_bytes > REQUEST_MAX_BYTES:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of a request is there."""
        if self._unanswered:
            self.bounds.move(self, Stage.RESPONSE)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The response is sent, as far as the caller reads it."""
        self._unanswered -= 1
        self.bounds.move(self, Stage.RESPONSE if self._unanswered else Stage.IDLE)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The caller does not read as fast as is sent."""
        super().pause_writing()
        self._expect_progress(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The caller has read most of what was sent."""
        self._cancel_write_timer()
        super().resume_writing()

    def make_room(self) -> None:
        """Close the connection at once, since others need its place."""
        self.transport.abort()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_within_s, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        self.bounds.note(Reason.HEAD_TIMEOUT)
        self._refuse(408, f"The head of the request did not arrive in {self.head_within_s:g} s.")

    def _expect_progress(self, unread_bytes: int) -> None:
        self._cancel_write_timer()
        self._write_timer = self.loop.call_later(
            self.stalled_after_s, self._look_for_progress, unread_bytes
        )

    def _look_for_progress(self, unread_bytes: int) -> None:
        left_bytes = self.transport.get_write_buffer_size()
        if left_bytes < unread_bytes:
            self._expect_progress(left_bytes)
            return
        self.bounds.note(Reason.STALLED)
        self.transport.abort()

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _refuse(self, status: int, text: str) -> None:
        lines = (
            f"HTTP/1.1 {status} {_STATUS_LINES[status]}",
            "content-type: text/plain; charset=utf-8",
            f"content-length: {len(text)}",
            "retry-after: 1",
            "connection: close",
            "",
            text,
        )
        self.transport.write("\r\n".join(lines).encode())
        self.transport.close()


def bounded_protocol(connections: Connections, **limits: Any) -> type[BoundedProtocol]:
    """Return the protocol of one server.

    Args:
        connections: of this server.
        limits: attributes of the protocol that differ from its own.
    """
    return type("BoundedProtocol", (BoundedProtocol,), {"bounds": connections, **limits})
