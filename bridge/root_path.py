"""The path prefix under which a proxy publishes the bridge.

Proxies may remove the prefix or pass it on. As ASGI requires, the path in the scope begins with the
prefix, which is also the `root_path` for links, redirects and cookies.
"""

from starlette.types import Scope


def add_root_path(scope: Scope, root_path: str) -> None:
    """Add the prefix to the path of a request if a proxy has removed it.

    Args:
        scope: scope of the request.
        root_path: the prefix, with a leading and without a trailing slash.
    """
    path: str = scope["path"]
    is_kept = path == root_path or path.startswith(f"{root_path}/")
    scope["path"] = path if is_kept else f"{root_path}{path}"
    scope["root_path"] = root_path


def route_path(scope: Scope) -> str:
    """Return the path of a request without the prefix."""
    root_path: str = scope.get("root_path", "")
    path: str = scope["path"].removeprefix(root_path)
    return path or "/"
