"""What every answer tells browsers, and how much a request's head may hold."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bridge.problems import problem_response
from bridge.routes.schema import SCHEMA_PATH
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import REQUEST_MAX_BYTES

HEAD_MAX_BYTES: Final = 32 * 1024
"""Of the path, the query and the headers together; tokens and cookies take a few hundred."""
HEAD_TOO_LARGE: Final = 431

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
        policy = _PAGE if scope["path"].startswith(f"{SCHEMA_PATH}/") else _CLOSED

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
    """

    _without_body_bytes = 0
    _unread_bytes = 0
    _has_come_on = False

    def data_received(self, data: bytes) -> None:
        """Take what has come, if a new request or more of a body is not too long ago."""
        self._without_body_bytes += len(data)
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

    def on_body(self, body: bytes) -> None:
        """More of its body has come."""
        self._has_come_on = True
        if self.cycle.response_complete:
            self._unread_bytes += len(body)
            if self._unread_bytes > REQUEST_MAX_BYTES:
                self.transport.close()
        super().on_body(body)
