"""Logins of clients that cannot send a token with each request."""

from http.cookies import SimpleCookie

import httpx
import pytest

from bridge.sessions import SESSION_LIFETIME_S
from pylon_client.contract.failures import ErrorCode, FailureError
from tests.support.nats.scripted_nats import (
    OPEN_TOKEN,
    SN1_TOKEN,
    SN2_TOKEN,
    Asked,
    ScriptedNats,
    bridge_client,
)

LOGIN = "/api/v1/login/identity/sn1"
SN1 = "/api/v1/identity/sn1/subnet/1/block/latest/neurons"
HOTKEY = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"


async def log_in(client: httpx.AsyncClient, token: str = SN1_TOKEN, path: str = LOGIN) -> None:
    response = await client.post(path, json={"token": token, "identity_name": "sn1"})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("prefix", ["v1", "_unstable"])
async def test_a_login_is_worth_as_much_as_the_token(
    client: httpx.AsyncClient, nats: ScriptedNats, prefix: str
) -> None:
    path = f"/api/{prefix}/login/identity/sn2"
    response = await client.post(path, json={"token": SN2_TOKEN, "more": [1]})
    assert response.json() == {"netuid": 2, "identity_name": "sn2"}
    cookie = SimpleCookie(response.headers["Set-Cookie"])["pylon_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "strict"
    assert cookie["path"] == "/api"
    assert int(cookie["max-age"]) == SESSION_LIFETIME_S
    assert SN2_TOKEN not in response.headers["Set-Cookie"]
    of_sn2 = f"/api/{prefix}/identity/sn2/subnet/2/block/latest/neurons"
    assert (await client.get(of_sn2)).status_code == 200
    # Another bridge of the same deployment takes it too.
    async with bridge_client(nats) as other:
        other.cookies = client.cookies
        assert (await other.get(of_sn2)).status_code == 200
        # A token that is sent counts more than the cookie.
        wrong = {"Authorization": "Bearer wrong"}
        assert (await other.get(of_sn2, headers=wrong)).status_code == 403


@pytest.mark.parametrize(
    ("name", "token", "status"),
    [
        ("sn1", "wrong", 403),
        ("sn1", SN2_TOKEN, 403),
        ("sn1", OPEN_TOKEN, 403),
        ("nope", "wrong", 403),
        ("nope", SN1_TOKEN, 404),
        ("nope", OPEN_TOKEN, 404),
    ],
)
async def test_a_wrong_token_begins_no_session(
    client: httpx.AsyncClient, name: str, token: str, status: int
) -> None:
    response = await client.post(f"/api/v1/login/identity/{name}", json={"token": token})
    assert response.status_code == status
    assert "Set-Cookie" not in response.headers
    assert (status == 404) is (response.json()["detail"] == "Identity 'nope' not found.")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"token": 5}', b'{"token": ""}', b"nonsense"])
async def test_a_login_without_a_token_is_invalid(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post(LOGIN, content=body)
    assert response.status_code == 400
    assert response.json()["code"] == "INVALID"


async def test_a_session_is_of_one_identity_and_its_subnet(
    client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    """401 makes the clients that have cookies log in again; 308 would be the end for them."""
    await log_in(client)
    for path in (
        SN1.replace("sn1", "sn2"),
        SN1.replace("subnet/1", "subnet/2"),
        SN1.replace("sn1", "nobody"),
    ):
        response = await client.get(path)
        assert response.status_code == 401
        assert response.json()["code"] == "UNAUTHENTICATED"
    assert not nats.asked


@pytest.mark.parametrize("path", ["block/latest/neurons", f"jobs/{'a' * 26}/stream"])
async def test_other_authorization_schemes_do_not_affect_a_session(
    client: httpx.AsyncClient, nats: ScriptedNats, path: str
) -> None:
    await log_in(client)
    client.headers["Authorization"] = "Basic c24xOnNuMQ=="
    response = await client.get(f"/api/v1/identity/sn1/subnet/2/{path}")
    assert (response.status_code, response.json()["code"]) == (401, "UNAUTHENTICATED")
    assert not nats.asked
    assert (await client.get(SN1)).status_code == 200


async def test_an_identity_that_workers_have_on_another_subnet_writes_nothing(
    client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    """A worker with newer settings than this bridge rejects requests of a moved identity."""

    def answer(asked: Asked) -> bytes:
        assert asked.headers["Pylon-Netuid"] == "1"
        raise FailureError(ErrorCode.NETUID_MISMATCH, "Identity 'sn1' is of subnet 2, not of '1'.")

    nats.answer = answer
    path, body = "/api/v1/identity/sn1/subnet/1/weights", {"weights": {HOTKEY: 1.0}}
    headers = {"Authorization": f"Bearer {SN1_TOKEN}"}
    by_token = await client.put(path, json=body, headers=headers)
    assert (by_token.status_code, by_token.json()["code"]) == (308, "NETUID_MISMATCH")
    assert "Location" not in by_token.headers
    await log_in(client)
    by_cookie = await client.put(path, json=body)
    assert (by_cookie.status_code, by_cookie.json()["code"]) == (401, "UNAUTHENTICATED")
    assert len(nats.asked) == 2
