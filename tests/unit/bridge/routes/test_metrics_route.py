"""Access to the metrics of the bridge."""

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from bridge.http_metrics import BridgeMetrics
from bridge.problems import add_exception_handlers
from bridge.routes.metrics_route import add_metrics_route
from bridge.settings import BridgeSettings
from tests.support.nats.scripted_nats import SN1_TOKEN

METRICS_TOKEN = "metrics-token"


async def read_metrics(token: str, authorization: str | None) -> httpx.Response:
    settings = BridgeSettings().model_copy(update={"metrics_token": SecretStr(token)})
    app = FastAPI()
    add_metrics_route(app.router, settings, BridgeMetrics())
    add_exception_handlers(app)
    headers = {} if authorization is None else {"Authorization": authorization}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
        return await client.get("/metrics", headers=headers)


async def test_the_token_gives_access_to_the_text_format_of_prometheus() -> None:
    response = await read_metrics(METRICS_TOKEN, f"Bearer {METRICS_TOKEN}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "pylon_build_info" in response.text


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        (None, "Authorization header is required"),
        ("", "Authorization header is required"),
        ("Basic dXNlcg==", "Invalid Authorization header format. Expected: Bearer <token>"),
        (f"Bearer {SN1_TOKEN}", "Invalid authorization token"),
        ("Bearer ", "Invalid authorization token"),
    ],
)
async def test_the_metrics_require_their_token(header: str | None, detail: str) -> None:
    response = await read_metrics(METRICS_TOKEN, header)
    assert response.status_code == 403
    assert response.json()["detail"] == detail


async def test_without_a_configured_token_the_metrics_are_closed() -> None:
    response = await read_metrics("", "Bearer ")
    assert response.status_code == 403
    assert response.json()["detail"] == "Metrics endpoint is not configured"
