import httpx
import pytest

from pylon_client.contract.failures import (
    FAILURE_KINDS,
    ErrorCode,
    FailureError,
    InvalidItem,
    UnknownCodeFailure,
)
from pylon_client.contract.types import BlockNumber
from tests.support.nats.scripted_nats import (
    Asked,
    ScriptedNats,
)

LATEST = "/api/v1/block/latest"
JOB = f"/api/v1/identity/sn1/subnet/1/jobs/{'a' * 26}"


async def test_a_newer_workers_failure_goes_on_as_it_is(
    open_client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    newer = UnknownCodeFailure(newer_code="NEW", newer_status=418, detail="Tea.", retryable=True)

    def fail(_asked: Asked) -> bytes:
        raise FailureError.from_failure(newer)

    nats.answer = fail
    response = await open_client.get(LATEST)
    assert response.status_code == 418
    expected = {"status_code": 418, "code": "NEW", "detail": "Tea.", "retryable": True}
    assert response.json() == expected


@pytest.mark.parametrize("code", list(ErrorCode))
async def test_a_failure_has_the_status_of_its_code(
    open_client: httpx.AsyncClient, nats: ScriptedNats, code: ErrorCode
) -> None:
    def fail(_asked: Asked) -> bytes:
        raise FailureError(code, "It went wrong.")

    nats.answer = fail
    response = await open_client.get(LATEST)
    assert response.status_code == FAILURE_KINDS[code].http_status
    assert response.json() == {
        "status_code": FAILURE_KINDS[code].http_status,
        "code": code.value,
        "detail": "It went wrong.",
        "retryable": FAILURE_KINDS[code].retryable,
    }
    assert response.headers["Cache-Control"] == "no-store"
    assert ("Retry-After" in response.headers) == (
        code
        in {
            ErrorCode.OVERLOADED,
            ErrorCode.NATS_UNAVAILABLE,
            ErrorCode.SHUTTING_DOWN,
            ErrorCode.NO_RECENT_SNAPSHOT,
        }
    )


async def test_all_fields_of_a_failure_are_returned(
    open_client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    item = InvalidItem(message="Input should be shorter", key="commitment", source="body")

    def fail(_asked: Asked) -> bytes:
        raise FailureError(
            ErrorCode.RATE_LIMITED, "Too soon.", retry_at_block=BlockNumber(7), extra=[item]
        )

    nats.answer = fail
    body = (await open_client.get(LATEST)).json()
    assert body["retry_at_block"] == 7
    assert body["extra"] == [item.model_dump()]


@pytest.mark.parametrize("path", ["/", "/nope", "/api/v1/subnet/1", "/api/v1/subnet/1/weights"])
async def test_an_unknown_route_is_not_found(open_client: httpx.AsyncClient, path: str) -> None:
    response = await open_client.get(path)
    assert response.status_code == 404
    assert response.json()["detail"] == "Not Found"
    assert response.json()["code"] == "NOT_FOUND"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_a_wrong_method_names_the_allowed_methods(
    open_client: httpx.AsyncClient, nats: ScriptedNats, method: str
) -> None:
    response = await open_client.request(method, "/api/v1/subnet/1/block/latest/neurons")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert response.json() == {
        "status_code": 405,
        "code": "METHOD_NOT_ALLOWED",
        "detail": "Method Not Allowed",
        "retryable": False,
    }
    assert not nats.asked


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (LATEST, "GET, HEAD"),
        (JOB, "DELETE, GET, HEAD"),
        ("/metrics", "GET, HEAD"),
        (f"{JOB}/stream", "GET, HEAD"),
        ("/schema", "GET, HEAD"),
        ("/schema/openapi.json", "GET, HEAD"),
        ("/schema/swagger", "GET, HEAD"),
        ("/schema/assets/swagger-ui.css", "GET, HEAD"),
        ("/api/v1/identity/sn1/subnet/1/weights", "PUT"),
    ],
)
async def test_a_wrong_method_names_all_methods_of_the_path(
    client: httpx.AsyncClient, path: str, allowed: str
) -> None:
    response = await client.patch(path)
    assert response.status_code == 405
    assert response.headers["Allow"] == allowed
