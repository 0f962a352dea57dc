"""Security headers for browsers, in every response."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.root_path import route_path
from bridge.routes.api_documents import SCHEMA_PATH

_API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_SWAGGER_POLICY: Final = (
    # The page contains inline scripts and styles.
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'"
)
_SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""`Strict-Transport-Security` is left to the proxy that terminates TLS: it affects a whole host."""


class SecurityHeaders:
    """Middleware that adds security headers for browsers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ASGI's entry point."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = _SWAGGER_POLICY if route_path(scope).startswith(f"{SCHEMA_PATH}/") else _API_POLICY

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_SECURITY_HEADERS)
                headers["Content-Security-Policy"] = policy
            await send(message)

        await self._app(scope, receive, send_with_headers)
