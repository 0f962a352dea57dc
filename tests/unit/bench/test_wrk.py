from dataclasses import replace

import pytest

from bench.wrk import Load, LoadError, parse

OUTPUT = """Running 2s test @ http://127.0.0.1:8000/health
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.68ms  412.04us   9.02ms   93.41%
    Req/Sec     9.65k   624.51    10.48k    75.00%
  Latency Distribution
     50%    1.59ms
     75%    1.75ms
     90%    1.94ms
     99%    {p99}
  19234 requests in 2.00s, 2.50MB read
{failed}Requests/sec:   9613.40
Transfer/sec:      1.25MB
"""


@pytest.mark.parametrize(("p99", "p99_ms"), [("812.00us", 0.812), ("3.25ms", 3.25), ("1.1s", 1100)])
def test_the_result_is_read_in_one_unit(p99: str, p99_ms: float) -> None:
    found = parse(OUTPUT.format(p99=p99, failed=""))
    assert found.p99_ms == pytest.approx(p99_ms)
    assert replace(found, p99_ms=1) == Load(19234, 9613.4, 1, 2.5 * 1024 * 1024)


@pytest.mark.parametrize(
    "line",
    [
        "  Non-2xx or 3xx responses: 7\n",
        "  Socket errors: connect 0, read 3, write 0, timeout 0\n",
    ],
)
def test_failed_requests_are_an_error(line: str) -> None:
    with pytest.raises(LoadError, match=line.strip()[:12]):
        parse(OUTPUT.format(p99="1ms", failed=line))


def test_late_responses_are_no_error() -> None:
    line = "  Socket errors: connect 0, read 0, write 0, timeout 5\n"
    assert parse(OUTPUT.format(p99="1ms", failed=line)).requests == 19234


def test_output_without_a_result_is_an_error() -> None:
    with pytest.raises(LoadError, match="no result"):
        parse("Segmentation fault")
