"""Security headers of all responses."""

import httpx
import pytest

from tests.support.nats.scripted_nats import ScriptedNats

LATEST = "/api/v1/block/latest"


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
