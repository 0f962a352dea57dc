"""The time between the signal to stop and the end of a bridge, in which callers are moved away."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Draining:
    """Whether a bridge is about to stop.

    Attributes:
        has_begun: set by the server when it is told to stop.
    """

    def __init__(self) -> None:
        self.has_begun = False


class ClosesWhileDraining:
    """Adds `Connection: close` to responses while draining.

    A caller with an idle connection has no other way to learn that it will be closed; its next
    request could cross the end of the connection and get no response.

    Args:
        app: to serve requests with.
        draining: of this bridge.
    """

    def __init__(self, app: ASGIApp, draining: Draining) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ASGI's entry point."""

        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start" and self._draining.has_begun:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, send_with_header)
