"""Maximum size of the headers of a request."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.problems import problem_response
from pylon_client.contract.failures import ErrorCode, FailureError

MAX_HEADER_BYTES: Final = 32 * 1024
"""Maximum size of path, query and headers together, in bytes; tokens need a few hundred."""
HEADER_TOO_LARGE_STATUS: Final = 431


class MaxHeaderSize:
    """Middleware that rejects requests whose headers are larger than `MAX_HEADER_BYTES`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ASGI's entry point."""
        if scope["type"] == "http" and _header_bytes(scope) > MAX_HEADER_BYTES:
            detail = f"The path and the headers have at most {MAX_HEADER_BYTES} bytes."
            failure = FailureError(ErrorCode.INVALID, detail).failure
            await problem_response(failure, HEADER_TOO_LARGE_STATUS)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _header_bytes(scope: Scope) -> int:
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return len(scope.get("raw_path") or b"") + len(scope["query_string"]) + fields
