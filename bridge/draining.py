"""Draining: after the stop signal, clients reconnect to another bridge before this one ends."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class DrainState:
    """Drain state of one bridge.

    Attributes:
        has_begun: whether the server has received the stop signal.
    """

    def __init__(self) -> None:
        self.has_begun = False


class DrainMiddleware:
    """Middleware that adds `Connection: close` to responses while draining.

    Without it, a client may send its next request on an idle connection while the server closes it,
    and receive no response.

    Args:
        app: the wrapped app.
        draining: drain state of this bridge.
    """

    def __init__(self, app: ASGIApp, draining: DrainState) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ASGI's entry point."""

        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start" and self._draining.has_begun:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, send_with_header)
