"""The maximum size of request headers."""

import httpx
import pytest

from bridge.header_limit import MAX_HEADER_BYTES
from tests.support.nats.scripted_nats import OPEN_TOKEN, ScriptedNats

LATEST = "/api/v1/block/latest"


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
