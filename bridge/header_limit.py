"""Maximum size of the headers of a request."""

from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from bridge.problems import problem_response
from pylon_client.contract.failures import ErrorCode, FailureError

MAX_HEADER_BYTES: Final = 32 * 1024
"""Maximum size of path, query and headers together, in bytes; tokens need a few hundred."""
HEADER_TOO_LARGE_STATUS: Final = 431


def exceeds_header_limit(scope: Scope) -> bool:
    """Return whether the headers of a request are larger than `MAX_HEADER_BYTES`."""
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    target = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    return target + fields > MAX_HEADER_BYTES


def header_limit_response() -> Response:
    """Return the response to a request whose headers are too large."""
    detail = f"The path and the headers have at most {MAX_HEADER_BYTES} bytes."
    failure = FailureError(ErrorCode.INVALID, detail).failure
    return problem_response(failure, HEADER_TOO_LARGE_STATUS)
