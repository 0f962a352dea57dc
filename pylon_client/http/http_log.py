"""The log of HTTP requests: our own line at DEBUG instead of the HTTP library's at INFO."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

HTTP_LIBRARY: Final = "httpx"

_is_own_request: ContextVar[bool] = ContextVar("is_ours", default=False)


class _OwnRequestFilter(logging.Filter):
    """Drops what the library logs below WARNING about requests of this client."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged."""
        return record.levelno >= logging.WARNING or not _is_own_request.get()


_FILTER: Final = _OwnRequestFilter()


def install_filter() -> None:
    """Filter the library's logger; of requests that are not ours it logs as before."""
    logging.getLogger(HTTP_LIBRARY).addFilter(_FILTER)


@contextmanager
def suppress_httpx_log() -> Generator[None]:
    """Within the block, the library logs nothing below WARNING in this task."""
    token = _is_own_request.set(True)
    try:
        yield
    finally:
        _is_own_request.reset(token)
