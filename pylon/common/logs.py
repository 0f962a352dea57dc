"""Logging of all processes of the service, as text or JSON."""

import contextlib
import logging
import re
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Protocol, TextIO

from pydantic import field_validator

from pylon.common.environment_settings import EnvironmentSettings
from pylon.common.redaction import REDACTOR
from pylon_client.contract import json_codec

QUIET_LOGGERS: Final = ("bittensor", "httpx", "nats", "uvicorn", "websockets")
"""Libraries that log at WARNING only: at INFO they repeat events that Pylon logs itself."""

_UNREDACTED: Final = frozenset({"ts", "level", "logger"})
"""Fields without logged data; redacting them would break `level` if a secret is `INFO`."""
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_context: ContextVar[Mapping[str, object]] = ContextVar("log_context", default=MappingProxyType({}))


class LogFormat(StrEnum):
    """The format of log lines; AUTO is HUMAN on a terminal, and JSON otherwise."""

    AUTO = "auto"
    JSON = "json"
    HUMAN = "human"


class LogSettings(EnvironmentSettings):
    """Settings of the log.

    Attributes:
        log_level: minimum level: DEBUG, INFO, WARNING or ERROR.
        log_format: format of the lines.
    """

    log_level: str = "INFO"
    log_format: LogFormat = LogFormat.HUMAN

    @field_validator("log_level")
    @classmethod
    def _is_a_level(cls, name: str) -> str:
        if name.upper() not in logging.getLevelNamesMapping():
            raise ValueError("choose DEBUG, INFO, WARNING or ERROR")
        return name.upper()


def bind_log_fields(**fields: object) -> Token[Mapping[str, object]]:
    """Add fields to all further log lines of this task and of tasks that it starts.

    Fields that are None or empty are left out.

    Returns:
        The token for `reset_log_fields`.
    """
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    return _context.set({**_context.get(), **given})


def reset_log_fields(token: Token[Mapping[str, object]]) -> None:
    """Undo `bind_log_fields` in the same task."""
    _context.reset(token)


def parse_trace_id(trace_parent: str) -> str:
    """Return the trace id of a `traceparent` header; empty if the header is invalid."""
    found = _TRACE_PARENT.fullmatch(trace_parent)
    return found[1] if found else ""


class LineFormatter(Protocol):
    """Formats lines of frequent events without a record and without looking for secrets."""

    def line_start(self, level: str, logger: str, event: str) -> str:
        """Return what lines of the same event have in common; `event` is its beginning."""
        ...

    def line(self, created_s: float, start: str, event: str, fields: Mapping[str, str]) -> str:
        """Return a line.

        Args:
            created_s: time of the event, in seconds since the Unix epoch.
            start: result of `line_start`.
            event: rest of the event's text, in ASCII and without quotes, backslashes and controls.
            fields: further fields; the same characters are allowed in their values.
        """
        ...


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object: `ts`, `level`, `logger`, `event` and bound fields."""

    def line_start(self, level: str, logger: str, event: str) -> str:
        """Return what lines of the same event have in common; see `LineFormatter`."""
        common = {"level": level, "logger": logger, "event": event}
        return json_codec.encode(common).decode()[1:-2]

    def line(self, created_s: float, start: str, event: str, fields: Mapping[str, str]) -> str:
        """Return a line; see `LineFormatter`."""
        second, milliseconds = divmod(int(created_s * 1000), 1000)
        ts = f"{_utc_second(second)}.{milliseconds:03d}+00:00"
        noted = "".join([f',"{name}":"{value}"' for name, value in fields.items()])
        return f'{{"ts":"{ts}",{start}{event}"{noted}}}'

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, without secrets."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **_context.get(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        shown = {name: _to_json_value(value) for name, value in line.items()}
        hidden = {
            name: value if name in _UNREDACTED else REDACTOR.redact_value(value)
            for name, value in shown.items()
        }
        return json_codec.encode(hidden).decode()


class HumanFormatter(logging.Formatter):
    """Formats a record as a line of text, followed by the bound fields."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def line_start(self, level: str, logger: str, event: str) -> str:
        """Return what lines of the same event have in common; see `LineFormatter`."""
        return f"{level:7s} {logger}: {event}"

    def line(self, created_s: float, start: str, event: str, fields: Mapping[str, str]) -> str:
        """Return a line; see `LineFormatter`."""
        second, milliseconds = divmod(int(created_s * 1000), 1000)
        noted = " ".join([f"{name}={value}" for name, value in fields.items()])
        text = f"{_local_second(second)},{milliseconds:03d} {start}{event}"
        return f"{text} [{noted}]" if noted else text

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, without secrets."""
        text = super().format(record)
        noted = " ".join(f"{name}={value}" for name, value in _context.get().items())
        if noted and not record.exc_info:
            text = f"{text} [{noted}]"
        return REDACTOR.redact_text(text)


@lru_cache(maxsize=2)
def _utc_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=2)
def _local_second(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes records immediately, and lines of frequent events in batches.

    Buffered lines are written before the next record, and when the process exits normally, so that
    all lines are in the order of their events.

    Args:
        stream: stream to write to.
        line_formatter: formatter of the lines.
    """

    def __init__(self, stream: TextIO, line_formatter: LineFormatter) -> None:
        super().__init__(stream)
        self.line_formatter: Final = line_formatter
        self._lines: list[str] = []

    def buffer_line(self, line: str) -> int:
        """Add a line to the buffer, which `flush` writes; return the number of buffered lines."""
        self._lines.append(line)
        return len(self._lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the buffered lines and a record."""
        self._write_lines()
        super().emit(record)

    def flush(self) -> None:
        """Write the buffered lines."""
        self._write_lines()
        super().flush()

    def _write_lines(self) -> None:
        with self.lock or contextlib.nullcontext():
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("".join([f"{line}{self.terminator}" for line in lines]))


def installed_handler() -> LogHandler | None:
    """Return the handler of `set_up_logging`; None if it was not called, as in tests."""
    handlers = logging.getLogger().handlers
    return next((one for one in handlers if isinstance(one, LogHandler)), None)


def set_up_logging() -> None:
    """Configure logging to standard error by the settings.

    Raises:
        SettingsError: a setting is wrong.
    """
    settings = LogSettings()
    is_json = settings.log_format is LogFormat.JSON or (
        settings.log_format is LogFormat.AUTO and not sys.stderr.isatty()
    )
    formatter = JsonFormatter() if is_json else HumanFormatter()
    handler = LogHandler(sys.stderr, formatter)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _to_json_value(value: object) -> object:
    return value if isinstance(value, int | float | str) else str(value)
