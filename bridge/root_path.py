"""The path prefix under which a proxy publishes the bridge.

Proxies may remove the prefix or pass it on. As ASGI requires, the path in the scope begins with the
prefix, which is also the `root_path` for links, redirects and cookies.
"""

from starlette.types import ASGIApp, Receive, Scope, Send


class RootPath:
    """Middleware that adds the prefix to request paths if a proxy has removed it.

    Args:
        app: the wrapped app.
        root_path: the prefix, with a leading and without a trailing slash.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ASGI's entry point."""
        if scope["type"] == "http":
            root_path: str = self._root_path
            path: str = scope["path"]
            is_kept = path == root_path or path.startswith(f"{root_path}/")
            scope["path"] = path if is_kept else f"{root_path}{path}"
            scope["root_path"] = root_path
        await self._app(scope, receive, send)


def route_path(scope: Scope) -> str:
    """Return the path of a request without the prefix."""
    root_path: str = scope.get("root_path", "")
    path: str = scope["path"].removeprefix(root_path)
    return path or "/"
