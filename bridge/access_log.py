"""The access log: one line for each request, with its method, path, status and duration."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from pylon.common.logs import bind_log_fields, installed_handler, reset_log_fields
from pylon.common.redaction import REDACTOR

access_logger = logging.getLogger("bridge.access")

HEALTH_PATHS: Final = frozenset({"/health", "/health/ready"})
"""Paths of health checks, which are logged at DEBUG only: they arrive every few seconds."""
FLUSH_INTERVAL_S: Final = 0.1
"""Maximum time that a line of a frequent request is buffered, in seconds."""
MAX_BUFFERED_LINES: Final = 1000
"""Number of buffered lines that are written at once, without waiting."""


def log_request(level: int, method: str, path: str, status: int | None, duration_s: float) -> None:
    """Write the line of a request.

    Args:
        level: log level of the line.
        method: method of the request.
        path: decoded path of the request.
        status: status of the response; None without a response.
        duration_s: duration of the request in seconds.
    """
    access_logger.log(
        level,
        "method=%s path=%s status=%s duration_ms=%.1f",
        *(method, quote(path), status or "none", duration_s * 1000),
    )


class FrequentRequestLog:
    """Writes the lines of one kind of request, with the same method, path and status.

    The common part of the lines is formatted and redacted once. Lines are buffered, and written in
    batches between the lines of other events.

    Args:
        level: log level of the lines.
        method: method of the requests.
        path: decoded path of the requests.
        status: status of the responses.
    """

    def __init__(self, level: int, method: str, path: str, status: int) -> None:
        self._level = level
        self._request = (method, path, status)
        self._handler = installed_handler()
        if self._handler is not None:
            event = f"method={method} path={quote(path)} status={status} duration_ms="
            self._start = self._handler.line_formatter.line_start(
                logging.getLevelName(level), access_logger.name, REDACTOR.redact_text(event)
            )

    def write(self, duration_s: float, fields: Mapping[str, str]) -> None:
        """Write the line of a request.

        Args:
            duration_s: duration of the request in seconds.
            fields: fields of the line, which contain no secrets.
        """
        if not access_logger.isEnabledFor(self._level):
            return
        handler = self._handler
        if handler is None:
            token = bind_log_fields(**fields)
            log_request(self._level, *self._request, duration_s)
            reset_log_fields(token)
            return
        duration_ms = f"{duration_s * 1000:.1f}"
        line = handler.line_formatter.line(time.time(), self._start, duration_ms, fields)
        buffered = handler.buffer_line(line)
        if buffered == 1:
            asyncio.get_running_loop().call_later(FLUSH_INTERVAL_S, handler.flush)
        elif buffered >= MAX_BUFFERED_LINES:
            handler.flush()
