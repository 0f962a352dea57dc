import httpx
import pytest

from pylon_client.contract import headers as wire_headers
from tests.support.nats.scripted_nats import (
    Asked,
    ScriptedNats,
)

LATEST = "/api/v1/block/latest"


async def test_a_bug_is_answered_without_its_text_and_logged_with_it(
    open_client: httpx.AsyncClient, nats: ScriptedNats, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_asked: Asked) -> bytes:
        raise RuntimeError("the inside of it")

    nats.answer = fail
    response = await open_client.get(LATEST)
    assert response.status_code == 500
    assert response.json() == {
        "status_code": 500,
        "code": "INTERNAL",
        "detail": "Internal Server Error",
        "retryable": False,
    }
    assert response.headers["X-Request-Id"]
    assert "the inside of it" in caplog.text
    assert response.headers["X-Request-Id"] in caplog.text


async def test_a_request_id_is_passed_to_the_worker_and_returned(
    open_client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    response = await open_client.get(LATEST, headers={"X-Request-Id": "job-7:a.b_C"})
    assert response.headers["X-Request-Id"] == "job-7:a.b_C"
    assert nats.asked[0].headers[wire_headers.REQUEST_ID] == "job-7:a.b_C"


@pytest.mark.parametrize("offered", ["", "two words", "x" * 129, "né", 'quo"te'])
async def test_an_id_that_is_unfit_for_a_log_line_is_replaced(
    open_client: httpx.AsyncClient, nats: ScriptedNats, offered: str
) -> None:
    response = await open_client.get(LATEST, headers={b"X-Request-Id": offered.encode()})
    given = response.headers["X-Request-Id"]
    assert given != offered
    assert len(given) == 32
    assert nats.asked[0].headers[wire_headers.REQUEST_ID] == given


async def test_access_log_lines_contain_no_secret(
    open_client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="bridge.access")
    await open_client.get("/api/v1/subnet/%0Aforged/x?token=secret", headers={"X-Request-Id": "r1"})
    (line,) = [record.getMessage() for record in caplog.records if record.name == "bridge.access"]
    assert line.startswith("method=GET path=/api/v1/subnet/%0Aforged/x status=404 duration_ms=")
    assert "secret" not in line
