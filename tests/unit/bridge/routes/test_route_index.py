"""The index finds exactly the routes that the framework would."""

from itertools import product

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Match

from bridge.routes.route_index import RouteIndex
from bridge.settings import BridgeSettings
from tests.support.nats.scripted_nats import OPEN_TOKEN, ScriptedNats, bridge_app


@pytest.fixture
def app() -> FastAPI:
    return bridge_app(ScriptedNats(), BridgeSettings())


def matching(routes: list[BaseRoute], path: str, method: str) -> list[tuple[BaseRoute, Match]]:
    scope = {"type": "http", "path": path, "method": method, "headers": [], "root_path": ""}
    found = [(route, route.matches(scope)[0]) for route in routes]
    return [(route, match) for route, match in found if match is not Match.NONE]


def test_the_candidates_of_a_path_contain_all_routes_that_match(app: FastAPI) -> None:
    index = RouteIndex(app.router)
    parts = ("latest", "1", "", "a b", "{netuid}")
    pairs = list(product(parts, parts))
    paths = {
        *("/", "", "/health", "/health/", "//health", "/health/ready", "/nothing", "/schema"),
        *("/schema/openapi.json", "/schema/swagger", "/schema/assets/none.css", "/metrics"),
        *(f"/api/v1/subnet/{netuid}/block/{block}/neurons" for netuid, block in pairs),
        *(f"/api/v1/block/{block}" for block in parts),
        *(f"/api/v1/identity/{name}/subnet/{netuid}/weights" for name, netuid in pairs),
    }
    for path, method in product(paths, ("GET", "PUT", "HEAD")):
        expected = matching(app.router.routes, path, method)
        candidates = index.candidates(path)
        assert len(candidates) <= 3
        if candidates:
            assert matching(candidates, path, method) == expected, path
        else:
            # The whole router handles it: a mounted app, or no route at all.
            assert len(expected) <= 1, path


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/health", 200, None),
        ("GET", "/schema/assets/swagger-ui.css", 200, None),
        ("GET", "/schema/assets/nothing", 404, None),
        ("GET", "/nothing", 404, None),
        ("POST", "/health", 405, "GET, HEAD"),
        ("DELETE", "/api/v1/subnet/1/block/latest/neurons", 405, "GET, HEAD"),
        ("GET", "/api/v1/identity/sn1/subnet/1/weights", 405, "PUT"),
        ("GET", "/api/v1/subnet/x/block/latest/neurons", 400, None),
        ("GET", "/api/v1/subnet/1/block/latest/neurons", 200, None),
    ],
)
async def test_requests_are_handled_as_by_the_whole_router(
    app: FastAPI, method: str, path: str, status: int, allowed: str | None
) -> None:
    async def response() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
            return await client.request(
                method, path, headers={"Authorization": f"Bearer {OPEN_TOKEN}"}
            )

    indexed = await response()
    assert isinstance(app.router.middleware_stack, RouteIndex)
    app.router.middleware_stack = app.router.app
    whole = await response()
    assert (indexed.status_code, indexed.headers.get("Allow")) == (status, allowed)
    assert (whole.status_code, whole.content) == (indexed.status_code, indexed.content)
    assert whole.headers.get("Allow") == allowed
