"""Sessions for clients that cannot send a token, and the unstable paths that some of them use."""

import base64
import json
from http.cookies import SimpleCookie

import httpx
import pytest

from bridge.routes.unstable_routes import unstable_paths
from bridge.sessions import SESSION_LIFETIME_S, Sessions
from bridge.settings import BridgeSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import OPERATIONS
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


async def test_a_session_ends_and_none_can_be_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    identities = BridgeSettings().identity_settings
    sn1, sn2 = identities.values()
    sessions = Sessions(identities, lambda: clock[0])
    cookie = sessions.create(sn1)
    assert sessions.verify(cookie) == sn1
    body, _, signature = cookie.partition(".")
    said = json.loads(base64.urlsafe_b64decode(body))
    forged = base64.urlsafe_b64encode(json.dumps({**said, "identity_name": "sn2"}).encode())
    longer = base64.urlsafe_b64encode(json.dumps({**said, "ends_at_s": 10**10}).encode())
    for wrong in (
        "",
        ".",
        "x.y",
        body,
        f"{body}.",
        f"{body}.{'0' * 64}",
        f"{forged.decode()}.{signature}",
        f"{longer.decode()}.{signature}",
        f"{cookie}0",
        "ÿ.ÿ",
        f"{base64.urlsafe_b64encode(b'[]').decode()}.{signature}",
    ):
        assert sessions.verify(wrong) is None
    moved = {sn1.name: sn1.model_copy(update={"netuid": 9})}
    assert Sessions(moved, lambda: clock[0]).verify(cookie) is None
    new_token = {sn1.name: sn1.model_copy(update={"token": sn2.token})}
    assert Sessions(new_token, lambda: clock[0]).verify(cookie) is None
    clock[0] += SESSION_LIFETIME_S - 1
    assert sessions.verify(cookie) == sn1
    clock[0] += 1
    assert sessions.verify(cookie) is None


UNSTABLE = "/api/_unstable"


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("/openaccess/subnet/1/block/latest/neurons", "open.1.neurons.latest"),
        ("/subnet/1/block/recent/neurons", "open.1.neurons.recent"),
        ("/openaccess/subnet/1/block/5/validators", "open.1.validators.at"),
        ("/openaccess/subnet/1/block/latest/commitments", "open.1.commitments.typed.latest"),
        (
            f"/openaccess/subnet/1/block/latest/commitments/{HOTKEY}",
            "open.1.commitments.typed.of",
        ),
        (
            "/openaccess/subnet/1/block/latest/commitments/revealed",
            "open.1.commitments.revealed.latest",
        ),
        ("/openaccess/block/latest", "open.chain.block.latest"),
        ("/openaccess/block/latest/prices", "open.chain.prices.latest"),
        ("/openaccess/block/7/extrinsic/2", "open.chain.extrinsic.at"),
        (
            "/identity/sn1/subnet/1/block/latest/commitments/self",
            "identity.sn1.commitments.typed.self",
        ),
        (
            "/identity/sn1/subnet/1/mechanism/0/block/9/weights/status",
            "identity.sn1.weights.status",
        ),
    ],
)
async def test_an_unstable_path_is_another_way_to_the_same_operation(
    client: httpx.AsyncClient, nats: ScriptedNats, path: str, subject: str
) -> None:
    token = SN1_TOKEN if "/identity/" in path else OPEN_TOKEN
    assert (await client.get(f"{UNSTABLE}{path}")).status_code == 401
    headers = {b"Authorization": f"Bearer {token}".encode()}
    assert (await client.get(f"{UNSTABLE}{path}", headers=headers)).status_code == 200
    assert [asked.subject for asked in nats.asked] == [f"pylon.v1.{subject}"]


async def test_requests_that_published_clients_send_without_a_token_are_public(
    client: httpx.AsyncClient,
) -> None:
    drand = f"{UNSTABLE}/openaccess/block/latest/drand/last_stored_round"
    assert (await client.get(drand)).status_code == 200
    assert (await client.get(f"{UNSTABLE}/identities")).json() == {
        "identities": {"sn1": 1, "sn2": 2}
    }


def test_every_operation_has_its_unstable_paths_or_gives_them_to_the_typed_form() -> None:
    without = {
        operation.name
        for operation in OPERATIONS
        for scope in operation.scopes
        if not unstable_paths(operation, scope)
    }
    assert without == {"commitments.latest", "commitments.of", "commitments.self"}
    paths = [
        (operation.method, path)
        for operation in OPERATIONS
        for scope in operation.scopes
        for path in unstable_paths(operation, scope)
    ]
    assert len(paths) == len(set(paths))
