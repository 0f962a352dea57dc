"""A page of another site cannot use a browser's session cookie to change anything."""

from collections.abc import AsyncGenerator
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from bridge.sessions import COOKIE_NAME
from pylon.rpc.calls import ServiceCall
from pylon.rpc.request_server import RequestServer
from pylon_client.contract import json_codec
from pylon_client.contract.operations import OPERATIONS_BY_NAME
from pylon_client.contract.types import IdentityName, JobId, NetUid
from pylon_client.contract.writes import PUT_WEIGHTS, WeightsScheduled
from pylon_devnet.population import hotkey
from tests.support.nats.replicas import Nats
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.deployment import token_of
from tests.support.product.eventually import HANGS_AFTER_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOGIN = "/api/v1/login/identity/alice"
WEIGHTS = "/api/v1/identity/alice/subnet/1/weights"
BODY = json_codec.encode({"weights": {hotkey(1, 3): 1.0}})
JSON = {"Content-Type": "application/json"}


class Browser:
    """A client of a bridge with a session cookie.

    Attributes:
        puts: number of writes that have reached a worker.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.puts = 0

    async def log_in(self, **headers: str) -> SimpleCookie:
        login = await self.http.post(LOGIN, json={"token": token_of("alice")}, headers=headers)
        assert login.status_code == 200, login.text
        return SimpleCookie(login.headers["Set-Cookie"])

    async def put(self, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await self.http.put(WEIGHTS, content=BODY, headers={**JSON, **named})
        return response.status_code


@pytest_asyncio.fixture(loop_scope="module")
async def browser(nats: Nats, tmp_path: Path) -> AsyncGenerator[Browser]:
    """Yield a browser of a bridge that trusts its proxy, with a worker that counts writes."""
    environment = bridge_environment(nats.url, {"alice": 1}, bridge_trusted_proxies='["127.0.0.1"]')
    async with BridgeProcess(tmp_path, environment) as bridge:
        await bridge.until("/health/ready", 200)
        async with httpx.AsyncClient(
            base_url=bridge.url, trust_env=False, timeout=HANGS_AFTER_S
        ) as http:
            browser = Browser(http)

            async def handler(call: ServiceCall) -> bytes:
                browser.puts += call.operation == PUT_WEIGHTS.name
                return json_codec.encode(WeightsScheduled(count=1, job_id=JobId("a" * 26)))

            service = RequestServer(
                await nats.connect(),
                dict.fromkeys(OPERATIONS_BY_NAME, handler),
                identities={IdentityName("alice"): NetUid(1)},
                max_requests=100,
            )
            await service.start()
            yield browser
            await service.drain(0)


async def test_a_page_of_another_origin_changes_nothing(browser: Browser) -> None:
    await browser.log_in()
    assert await browser.put() == 200
    for page in (
        {"Origin": "http://elsewhere"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site"},
    ):
        assert await browser.put(**page) == 403
    assert browser.puts == 1
    login = await browser.http.post(
        LOGIN, json={"token": token_of("alice")}, headers={"Origin": "http://elsewhere"}
    )
    assert login.status_code == 403
    assert "Set-Cookie" not in login.headers


async def test_a_write_with_a_cookie_must_be_json(browser: Browser) -> None:
    await browser.log_in()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert await browser.put(**{"Content-Type": kind}) == 403
    assert browser.puts == 0
    assert await browser.put() == 200


async def test_a_cookie_is_secure_behind_a_trusted_proxy_with_tls(browser: Browser) -> None:
    plain = (await browser.log_in())[COOKIE_NAME]
    secure = (await browser.log_in(**{"X-Forwarded-Proto": "https"}))[COOKIE_NAME]
    assert (plain["secure"], secure["secure"]) == ("", True)
    for cookie in (plain, secure):
        assert cookie["httponly"]
        assert cookie["samesite"] == "strict"
