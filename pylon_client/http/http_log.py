"""Suppression of httpx's log lines at INFO; the client logs its requests at DEBUG."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

HTTP_LIBRARY: Final = "httpx"

_is_own_request: ContextVar[bool] = ContextVar("is_ours", default=False)


class _OwnRequestFilter(logging.Filter):
    """Drops records below WARNING about requests of this client."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged."""
        return record.levelno >= logging.WARNING or not _is_own_request.get()


_FILTER: Final = _OwnRequestFilter()


def install_filter() -> None:
    """Add the filter to the logger of httpx; requests of other code are logged as before."""
    logging.getLogger(HTTP_LIBRARY).addFilter(_FILTER)


@contextmanager
def suppress_httpx_log() -> Generator[None]:
    """Suppress httpx's records below WARNING in this task within the block."""
    token = _is_own_request.set(True)
    try:
        yield
    finally:
        _is_own_request.reset(token)
