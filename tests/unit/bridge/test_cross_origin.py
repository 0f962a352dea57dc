"""Cross-site requests with a session cookie are rejected, and sessions end."""

from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from bridge.sessions import COOKIE_NAME
from bridge.settings import BridgeSettings
from tests.support.nats.scripted_nats import SN1_TOKEN, ScriptedNats, bridge_client
from tests.unit.bridge.routes.test_login import HOTKEY, LOGIN, SN1, log_in

WEIGHTS = "/api/v1/identity/sn1/subnet/1/weights"
JOB = f"/api/v1/identity/sn1/subnet/1/jobs/{'a' * 26}"
LOGOUT = "/api/v1/logout"
BODY = f'{{"weights": {{"{HOTKEY}": 1.0}}}}'.encode()
JSON = {"Content-Type": "application/json"}
PROXY = "127.0.0.1"
"""The address of callers of an app in this process."""


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://bridge"}, 200),
        ({"Origin": "http://bridge:8001"}, 403),
        ({"Origin": "https://bridge"}, 403),
        ({"Origin": "http://elsewhere"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://bridge"}, 403),
    ],
)
async def test_a_page_of_another_origin_changes_nothing(
    client: httpx.AsyncClient, nats: ScriptedNats, headers: Mapping[str, str], status: int
) -> None:
    await log_in(client)
    put = await client.put(WEIGHTS, content=BODY, headers={**JSON, **headers})
    cancelled = await client.delete(JOB, headers=headers)
    assert (put.status_code, cancelled.status_code) == (status, status)
    assert len(nats.asked) == (2 if status == 200 else 0)
    if status == 403:
        assert put.json()["code"] == "FORBIDDEN"
    # Reads change nothing, and browsers do not send the token by themselves.
    assert (await client.get(SN1, headers=headers)).status_code == 200
    by_token = {**headers, "Authorization": f"Bearer {SN1_TOKEN}"}
    assert (await client.put(WEIGHTS, content=BODY, headers=by_token)).status_code == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/plain", 403),
        ("application/x-www-form-urlencoded", 403),
        ("multipart/form-data", 403),
        ("", 403),
    ],
)
async def test_a_change_by_cookie_is_json(
    client: httpx.AsyncClient, nats: ScriptedNats, content_type: str, status: int
) -> None:
    await log_in(client)
    response = await client.put(WEIGHTS, content=BODY, headers={"Content-Type": content_type})
    assert response.status_code == status
    assert bool(nats.asked) is (status == 200)


async def test_a_page_of_another_origin_cannot_log_in_or_out(client: httpx.AsyncClient) -> None:
    other = {"Origin": "http://bridge:8001"}
    login = await client.post(LOGIN, json={"token": SN1_TOKEN}, headers=other)
    assert (login.status_code, "Set-Cookie" in login.headers) == (403, False)
    await log_in(client)
    assert (await client.post(LOGOUT, headers=other)).status_code == 403
    assert (await client.get(SN1)).status_code == 200


@pytest.mark.parametrize("prefix", ["v1", "_unstable"])
async def test_a_logout_ends_one_session_and_deletes_the_cookie(
    client: httpx.AsyncClient, prefix: str
) -> None:
    await log_in(client)
    other = client.cookies[COOKIE_NAME]
    client.cookies.clear()
    await log_in(client)
    cookie = client.cookies[COOKIE_NAME]
    assert cookie != other
    response = await client.post(f"/api/{prefix}/logout")
    assert response.status_code == 204
    deleted = SimpleCookie(response.headers["Set-Cookie"])[COOKIE_NAME]
    assert (deleted["max-age"], deleted["path"]) == ("0", "/api")
    assert COOKIE_NAME not in client.cookies
    for value, status in ((cookie, 401), (other, 200)):
        response = await client.get(SN1, headers={"Cookie": f"{COOKIE_NAME}={value}"})
        assert response.status_code == status
    # Again, without a session or with one that is not valid, it does nothing.
    for value in (cookie, "nonsense", None):
        headers = {} if value is None else {"Cookie": f"{COOKIE_NAME}={value}"}
        assert (await client.post(LOGOUT, headers=headers)).status_code == 204


@pytest.mark.parametrize(
    ("trusted", "proto", "secure"),
    [
        ([f"{PROXY}/32"], "https", True),
        (["127.0.0.0/8"], "https", True),
        ([f"{PROXY}/32"], "http", False),
        (["10.0.0.0/8"], "https", False),
        ([], "https", False),
    ],
)
async def test_a_cookie_is_secure_where_a_trusted_proxy_ended_tls(
    nats: ScriptedNats, trusted: Any, proto: str, *, secure: bool
) -> None:
    async with bridge_client(nats, BridgeSettings(bridge_trusted_proxies=trusted)) as client:
        headers = {"X-Forwarded-Proto": proto, "X-Forwarded-For": "203.0.113.9"}
        response = await client.post(LOGIN, json={"token": SN1_TOKEN}, headers=headers)
        cookie = SimpleCookie(response.headers["Set-Cookie"])[COOKIE_NAME]
        assert bool(cookie["secure"]) is secure
        # The page was loaded with the scheme in the proxy's header.
        change = {
            **headers,
            "Origin": "https://bridge",
            "Cookie": f"{COOKIE_NAME}={cookie.value}",
            **JSON,
        }
        put = await client.put(WEIGHTS, content=BODY, headers=change)
        assert put.status_code == (200 if secure else 403)


@pytest.mark.parametrize("value", ['["10.0.0.1"]', '["10.0.0.0/8", "fd00::/8"]', "[]"])
def test_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PYLON_BRIDGE_TRUSTED_PROXIES", value)
    assert len(BridgeSettings().bridge_trusted_proxies) == value.count(".0.0.") + value.count("::")
