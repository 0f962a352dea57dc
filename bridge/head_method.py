"""HTTP HEAD requests: the status and headers of GET, without the body.

A response whose body is slow or endless, such as an event stream, must omit it by itself: see
`is_head_request`. The bodies of all other responses are dropped.
"""

from typing import Final

from starlette.types import Scope

STATE_KEY: Final = "is_head"
"""Key of the request's state that is True for HEAD; the endpoint itself sees GET."""


def as_get(scope: Scope) -> Scope:
    """Return the scope of a HEAD request as that of GET.

    It is a copy: the server keeps its scope with HEAD, so it expects no body.
    """
    scope.setdefault("state", {})[STATE_KEY] = True
    return {**scope, "method": "GET"}


def is_head_request(scope: Scope) -> bool:
    """Return whether the caller sent HEAD."""
    return bool(scope.get("state", {}).get(STATE_KEY))
