"""A bridge behind the path prefix of a proxy, which removes it or passes it on."""

import re

import httpx
import pytest

from bridge.settings import BridgeSettings
from tests.support.nats.scripted_nats import OPEN_TOKEN, SN1_TOKEN, ScriptedNats, SharedBridge

NEURONS = "/api/v1/subnet/1/block/latest/neurons"
PREFIXED = SharedBridge()
OPEN = {"Authorization": f"Bearer {OPEN_TOKEN}"}


@pytest.mark.parametrize("kept", ["/gateways/pylon", ""])
async def test_pages_redirects_and_cookies_have_the_prefix(nats: ScriptedNats, kept: str) -> None:
    settings = BridgeSettings(bridge_root_path="/gateways/pylon/")
    async with PREFIXED.client(nats, settings) as client:
        assert (await client.get(f"{kept}/health")).status_code == 200
        assert (await client.get(f"{kept}{NEURONS}", headers=OPEN)).status_code == 200
        assert (await client.get(f"{kept}{NEURONS}/", headers=OPEN)).status_code == 200
        assert (await client.get(f"{kept}/nothing")).status_code == 404
        redirect = await client.get(f"{kept}/schema")
        assert redirect.headers["Location"] == "/gateways/pylon/schema/swagger"
        page = await client.get(f"{kept}/schema/swagger")
        assert "'unsafe-inline'" in page.headers["Content-Security-Policy"]
        linked = re.findall(r"""(?:src|href|url)[=:]\s*["']([^"']+)["']""", page.text)
        assert len(linked) == 4
        for url in linked:
            assert url.startswith("/gateways/pylon/schema/")
            inside = url.removeprefix("/gateways/pylon")
            assert (await client.get(f"{kept}{inside}")).status_code == 200
        document = (await client.get(f"{kept}/schema/openapi.json")).json()
        assert document["servers"] == [{"url": "/gateways/pylon"}]
        assert NEURONS.replace("/1/", "/{netuid}/") in document["paths"]
        login = await client.post(f"{kept}/api/v1/login/identity/sn1", json={"token": SN1_TOKEN})
        assert "Path=/gateways/pylon/api;" in login.headers["Set-Cookie"]
        logout = await client.post(f"{kept}/api/v1/logout")
        assert "Path=/gateways/pylon/api;" in logout.headers["Set-Cookie"]
        refused = await client.patch(f"{kept}/health")
        assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")


async def test_headers_of_a_request_change_no_prefix(client: httpx.AsyncClient) -> None:
    headers = {"X-Forwarded-Prefix": "/elsewhere"}
    redirect = await client.get("/schema", headers=headers)
    assert redirect.headers["Location"] == "/schema/swagger"
