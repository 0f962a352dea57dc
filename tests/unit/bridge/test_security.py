"""Security headers, the maximum size of request headers, and the methods of a path."""

import httpx
import pytest

from bridge.security import MAX_HEADER_BYTES
from tests.support.nats.scripted_nats import OPEN_TOKEN, ScriptedNats

LATEST = "/api/v1/block/latest"
JOB = f"/api/v1/identity/sn1/subnet/1/jobs/{'a' * 26}"


@pytest.mark.parametrize("path", [LATEST, "/health", "/metrics", "/nope", "/schema/openapi.json"])
async def test_every_response_has_security_headers(
    open_client: httpx.AsyncClient, path: str
) -> None:
    headers = (await open_client.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    closed = "default-src 'none'" in headers["Content-Security-Policy"]
    assert closed == (not path.startswith("/schema"))


async def test_unexpected_errors_have_them_too(
    open_client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    def fail(_asked: object) -> bytes:
        raise RuntimeError

    nats.answer = fail
    response = await open_client.get(LATEST)
    assert response.status_code == 500
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("where", ["path", "query", "header", "headers"])
async def test_a_head_past_the_bound_is_refused(
    client: httpx.AsyncClient, nats: ScriptedNats, where: str
) -> None:
    async def ask(length: int) -> httpx.Response:
        filling = "x" * length
        headers = {"Authorization": f"Bearer {OPEN_TOKEN}"}
        match where:
            case "path":
                return await client.get(f"/{filling}", headers=headers)
            case "query":
                return await client.get(f"{LATEST}?{filling}", headers=headers)
            case "header":
                return await client.get(LATEST, headers={**headers, "X": filling})
            case _:
                many = {f"X-{number}": "x" * 100 for number in range(length // 100)}
                return await client.get(LATEST, headers={**headers, **many})

    assert (await ask(MAX_HEADER_BYTES // 2)).status_code == (404 if where == "path" else 200)
    asked = len(nats.asked)
    response = await ask(MAX_HEADER_BYTES)
    assert response.status_code == 431
    assert response.json()["code"] == "INVALID"
    assert response.headers["X-Request-Id"]
    assert len(nats.asked) == asked


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
