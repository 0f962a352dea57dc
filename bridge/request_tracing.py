"""Request ids, as used in logs, in headers and on NATS."""

import os
import re
from typing import Final

from starlette.requests import Request

REQUEST_ID_HEADER: Final = "X-Request-Id"
STATE_KEY: Final = "request_id"
"""Key of the request's state that contains its id."""

_SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_RANDOM_BYTES: Final = 16


def request_id(request: Request) -> str:
    """Return the request's id."""
    identifier: str = getattr(request.state, STATE_KEY)
    return identifier


def id_from_header(header: str | None) -> str:
    """Return the id in a header if it is safe in headers and logs, otherwise a new one."""
    if header is not None and _SAFE_REQUEST_ID.fullmatch(header):
        return header
    return new_request_id()


def new_request_id() -> str:
    """Return a new random id."""
    return os.urandom(_RANDOM_BYTES).hex()
