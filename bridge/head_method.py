"""HTTP HEAD requests: the status and headers of GET, without the body."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATE_KEY: Final = "is_head"
"""Key of the request's state that is True for HEAD; the endpoint itself sees GET."""


class HeadRequests:
    """Middleware that handles HEAD as GET and drops the body.

    A response whose body is slow or endless, such as an event stream, must omit it by itself: see
    `is_head_request`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ASGI's entry point."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        scope.setdefault("state", {})[STATE_KEY] = True
        # The server keeps its scope with HEAD, so it expects no body.
        await self._app({**scope, "method": "GET"}, receive, send_without_body)


def is_head_request(scope: Scope) -> bool:
    """Return whether the caller sent HEAD."""
    return bool(scope.get("state", {}).get(STATE_KEY))
