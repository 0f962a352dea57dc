"""Lines of the access log."""

import io
import logging
import re
import weakref
from collections.abc import Generator

import pytest

from bridge.access_log import MAX_BUFFERED_LINES, FrequentRequestLog, access_logger, log_request
from pylon.common.logs import (
    HumanFormatter,
    JsonFormatter,
    LogHandler,
    bind_log_fields,
    reset_log_fields,
)
from pylon.common.redaction import REDACTOR
from tests.support.product.eventually import eventually
from tests.support.product.secret_texts import secret_of

FIELDS = {"request_id": "r-1", "trace_id": "ab12"}
VARYING = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.,]+")


@pytest.fixture(params=[HumanFormatter, JsonFormatter])
def log(request: pytest.FixtureRequest) -> Generator[LogHandler]:
    """The only handler of a process."""
    formatter = request.param()
    handler = LogHandler(io.StringIO(), formatter)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    yield handler
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(log: LogHandler) -> list[str]:
    assert isinstance(log.stream, io.StringIO)
    return log.stream.getvalue().splitlines()


async def test_a_buffered_line_looks_like_any_other(log: LogHandler) -> None:
    path = "/api/v1/a b\"'\\/neurons"
    token = bind_log_fields(**FIELDS)
    log_request(logging.INFO, "GET", path, 304, 0.0012)
    reset_log_fields(token)
    FrequentRequestLog(logging.INFO, "GET", path, 304).write(0.0012, FIELDS)
    log.flush()
    usual, buffered = lines(log)
    assert VARYING.sub("", buffered) == VARYING.sub("", usual)
    assert VARYING.search(buffered)


async def test_lines_are_written_before_the_next_record(log: LogHandler) -> None:
    requests = FrequentRequestLog(logging.INFO, "GET", "/a", 200)
    requests.write(0, FIELDS)
    requests.write(0, FIELDS)
    assert not lines(log)
    access_logger.warning("something else")
    assert ["path=/a" in line for line in lines(log)] == [True, True, False]


async def test_lines_are_written_soon_and_at_the_exit(log: LogHandler) -> None:
    requests = FrequentRequestLog(logging.INFO, "GET", "/a", 200)
    requests.write(0, FIELDS)
    await eventually(lambda: len(lines(log)) == 1)
    requests.write(0, FIELDS)
    logging.shutdown([weakref.ref(log)])
    assert len(lines(log)) == 2


async def test_the_buffer_is_limited(log: LogHandler) -> None:
    requests = FrequentRequestLog(logging.INFO, "GET", "/a", 200)
    for _ in range(MAX_BUFFERED_LINES):
        requests.write(0, FIELDS)
    assert len(lines(log)) == MAX_BUFFERED_LINES


async def test_levels_apply_and_secrets_are_redacted(log: LogHandler) -> None:
    secret = secret_of("in-a-path")
    REDACTOR.add_secrets([secret])
    FrequentRequestLog(logging.DEBUG, "GET", "/health", 200).write(0, FIELDS)
    FrequentRequestLog(logging.INFO, "GET", f"/{secret}", 200).write(0, FIELDS)
    log.flush()
    (line,) = lines(log)
    assert secret not in line


async def test_without_the_handler_of_a_process_lines_are_records(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="bridge.access")
    FrequentRequestLog(logging.INFO, "HEAD", "/a", 200).write(0.5, FIELDS)
    assert caplog.messages == ["method=HEAD path=/a status=200 duration_ms=500.0"]
