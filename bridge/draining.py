"""Draining: between the signal to stop and the end of a bridge, callers move to another one."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class DrainState:
    """State of the drain of one bridge.

    Attributes:
        has_begun: set by the server when it is asked to stop.
    """

    def __init__(self) -> None:
        self.has_begun = False


class DrainMiddleware:
    """Middleware that adds `Connection: close` to responses while draining.

    Without it, the next request on an idle connection may cross the end of the connection and get
    no response.

    Args:
        app: to serve requests with.
        draining: of this bridge.
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
