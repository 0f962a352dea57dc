import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bridge.draining import DrainState
from bridge.http_metrics import BridgeMetrics
from bridge.http_middleware import HttpMiddleware


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await Response("ok")(scope, receive, send)


@pytest.mark.parametrize(("has_begun", "connection"), [(False, None), (True, "close")])
async def test_responses_close_the_connection_only_while_draining(
    connection: str | None, *, has_begun: bool
) -> None:
    draining = DrainState()
    draining.has_begun = has_begun
    transport = httpx.ASGITransport(HttpMiddleware(app, BridgeMetrics(), draining))
    async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
        response = await client.get("/")
    assert response.headers.get("Connection") == connection
