import json
import logging
from collections.abc import Generator
from pathlib import Path

import pytest
from pydantic_settings import SettingsError

from pylon.common.logs import (
    HumanFormatter,
    JsonFormatter,
    bind_log_fields,
    parse_trace_id,
    reset_log_fields,
    set_up_logging,
)
from pylon.common.redaction import REDACTOR

SECRET = "a-very-secret-token"


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[None]:
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def record(text: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("pylon.test", logging.WARNING, "file", 1, text, arguments, None)


def test_a_json_line_contains_the_event_and_the_bound_fields() -> None:
    noted = bind_log_fields(request_id="r-1", identity="alice", netuid=7, block=None, trace_id="")
    line = json.loads(JsonFormatter().format(record("Job %s waits", "j-1")))
    reset_log_fields(noted)
    assert line.pop("ts").endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "logger": "pylon.test",
        "event": "Job j-1 waits",
        "request_id": "r-1",
        "identity": "alice",
        "netuid": 7,
    }
    assert "request_id" not in json.loads(JsonFormatter().format(record("next")))


def test_a_text_line_ends_with_the_bound_fields() -> None:
    noted = bind_log_fields(request_id="r-1")
    text = HumanFormatter().format(record("Stopped"))
    reset_log_fields(noted)
    assert text.endswith("WARNING pylon.test: Stopped [request_id=r-1]")


@pytest.mark.parametrize("formatter", [JsonFormatter(), HumanFormatter()])
def test_secrets_are_redacted_in_all_parts_of_a_line(formatter: logging.Formatter) -> None:
    REDACTOR.add_secrets([SECRET])
    line = record("to %s with %r", "wss://user:password@node/", {"token": SECRET})
    line.exc_info = (ValueError, ValueError(SECRET), None)
    text = formatter.format(line)
    assert SECRET not in text
    assert "user:password" not in text
    assert "wss://[secret]@node/" in text


@pytest.mark.parametrize(
    ("chosen", "is_terminal", "is_json"),
    [
        ("json", True, True),
        ("auto", False, True),
        ("auto", True, False),
        ("human", False, False),
    ],
)
def test_the_format_is_the_settings_choice(
    monkeypatch: pytest.MonkeyPatch, chosen: str, *, is_terminal: bool, is_json: bool
) -> None:
    monkeypatch.setenv("PYLON_LOG_FORMAT", chosen)
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    set_up_logging()
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler.formatter, JsonFormatter) == is_json


@pytest.mark.parametrize("variable", ["PYLON_LOG_FORMAT", "PYLON_LOG_LEVEL"])
def test_an_invalid_choice_is_an_error(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "loud")
    with pytest.raises(SettingsError, match=variable):
        set_up_logging()


def test_a_trace_is_read_from_a_sound_header_alone() -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert parse_trace_id(f"00-{trace}-00f067aa0ba902b7-01") == trace
    assert parse_trace_id(f"00-{trace}-00f067aa0ba902b7-01\n") == ""
    assert parse_trace_id("anything") == ""
