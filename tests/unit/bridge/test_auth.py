import hmac
from hmac import compare_digest

import httpx
import pytest

from bridge.routes.stream_routes import BLOCK_STREAM_PATH, CHANGES_STREAM_PATH, NEURONS_STREAM_PATH
from bridge.routes.unstable_routes import unstable_paths
from bridge.settings import BridgeSettings
from pylon_client.contract.models import Block
from pylon_client.contract.operations import OPERATIONS, Scope
from pylon_client.contract.reads import IDENTITIES, NEURON_CHANGES
from pylon_client.contract.types import BlockHash, BlockNumber
from pylon_client.events.feed import FeedEvent
from tests.support.nats.scripted_nats import (
    OPEN_TOKEN,
    SN1_TOKEN,
    SN2_TOKEN,
    ScriptedNats,
    bridge_client,
)
from tests.support.wire.asgi_stream import Stream
from tests.unit.bridge.routes.test_login import HOTKEY, log_in

OPEN = "/api/v1/subnet/1/block/latest/neurons"
CHAIN = "/api/v1/block/latest"
SN1 = "/api/v1/identity/sn1/subnet/1/block/latest/neurons"
SN2 = "/api/v1/identity/sn2/subnet/2/block/latest/neurons"
UNKNOWN = "/api/v1/identity/nobody/subnet/1/block/latest/neurons"
RESERVED = "/api/v1/identity/worker/subnet/1/block/latest/neurons"


def bearer(token: str) -> dict[bytes, bytes]:
    return {b"Authorization": f"Bearer {token}".encode()}


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        (OPEN, OPEN_TOKEN, 200, None),
        (CHAIN, OPEN_TOKEN, 200, None),
        (OPEN, "wrong", 403, "FORBIDDEN"),
        (OPEN, "töken", 403, "FORBIDDEN"),
        (OPEN, SN1_TOKEN, 200, None),
        (CHAIN, SN1_TOKEN, 200, None),
        (SN1, SN1_TOKEN, 200, None),
        (SN2, SN2_TOKEN, 200, None),
        (SN1, SN2_TOKEN, 403, "FORBIDDEN"),
        (SN1, OPEN_TOKEN, 403, "FORBIDDEN"),
        (SN1, SN1_TOKEN[:-1], 403, "FORBIDDEN"),
        (SN1, SN1_TOKEN + "x", 403, "FORBIDDEN"),
        (UNKNOWN, SN1_TOKEN, 404, "NOT_FOUND"),
        (UNKNOWN, OPEN_TOKEN, 404, "NOT_FOUND"),
        (UNKNOWN, "wrong", 403, "FORBIDDEN"),
        (RESERVED, "wrong", 403, "FORBIDDEN"),
    ],
)
async def test_a_token_opens_the_paths_of_its_owner_and_no_others(
    client: httpx.AsyncClient,
    nats: ScriptedNats,
    path: str,
    token: str,
    status: int,
    code: str | None,
) -> None:
    response = await client.get(path, headers=bearer(token))
    assert response.status_code == status
    assert response.json().get("code") == code
    assert len(nats.asked) == (status == 200)


@pytest.mark.parametrize("path", [OPEN, CHAIN, SN1, UNKNOWN])
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", f"Basic {OPEN_TOKEN}", OPEN_TOKEN, SN1_TOKEN],
)
async def test_without_credentials_that_can_be_read_nobody_gets_in(
    client: httpx.AsyncClient, nats: ScriptedNats, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = await client.get(path, headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["code"] == "UNAUTHENTICATED"
    assert not nats.asked


@pytest.mark.parametrize("headers", [{}, bearer("wrong")])
async def test_a_stranger_cannot_distinguish_known_from_unknown_identities(
    client: httpx.AsyncClient, headers: dict[bytes, bytes]
) -> None:
    known, unknown = [await client.get(path, headers=headers) for path in (SN1, UNKNOWN)]
    assert known.status_code == unknown.status_code
    assert known.content == unknown.content


async def test_bad_values_are_not_explained_to_strangers(client: httpx.AsyncClient) -> None:
    for scope in ("/subnet/1", "/identity/sn1/subnet/1"):
        response = await client.get(f"/api/v1{scope}/block/-1/neurons")
        assert response.status_code == 401


async def test_open_access_without_a_configured_token_requires_none(
    nats: ScriptedNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN", "")
    async with bridge_client(nats, BridgeSettings()) as client:
        for headers in ({}, bearer("whatever"), {b"Authorization": b"nonsense"}):
            assert (await client.get(OPEN, headers=headers)).status_code == 200
        # An empty token does not authenticate a caller.
        assert (await client.get(UNKNOWN)).status_code == 401
        assert (await client.get(UNKNOWN, headers=bearer("wrong"))).status_code == 403


async def test_another_subnet_than_the_identitys_is_answered_without_a_place_to_follow_to(
    client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    response = await client.get(SN1.replace("subnet/1", "subnet/2"), headers=bearer(SN1_TOKEN))
    assert response.status_code == 308
    assert response.json()["code"] == "NETUID_MISMATCH"
    assert response.json()["status_code"] == 308
    assert response.json()["detail"]
    assert "Location" not in response.headers
    assert not nats.asked


async def test_the_scheme_is_read_whatever_its_case(client: httpx.AsyncClient) -> None:
    headers = {b"Authorization": f"bEARER {SN1_TOKEN}".encode()}
    assert (await client.get(SN1, headers=headers)).status_code == 200


async def test_every_token_is_compared_with_all_of_them_in_constant_time(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare_digest(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for path in (SN1, SN2, UNKNOWN):
        for token in (SN1_TOKEN, SN1_TOKEN[:-1], "x", "x" * 1000, OPEN_TOKEN):
            compared.clear()
            await client.get(path, headers=bearer(token))
            # Two identities and open access; whatever is presented, its digest has one length.
            assert compared == [(32, 32)] * 3
            compared.clear()
            await client.get(OPEN, headers=bearer(token))
            # In open access, again for the caller's limits where it is admitted.
            assert set(compared) == {(32, 32)}
            assert len(compared) == (5 if token in {SN1_TOKEN, OPEN_TOKEN} else 3)


# Open access with the token or session of an identity.

VALUES = {"netuid": 7, "block_number": 5, "extrinsic_index": 0, "hotkey": HOTKEY}
SINCE = {NEURON_CHANGES.name: "?since=5"}
READS = sorted(
    {
        path.format(**VALUES) + SINCE.get(operation.name, "")
        for operation in OPERATIONS
        if Scope.OPEN in operation.scopes and operation is not IDENTITIES
        for path in (operation.rest_path(Scope.OPEN), *unstable_paths(operation, Scope.OPEN))
    }
)
STREAMS = {
    BLOCK_STREAM_PATH: "pylon.v1.event.block",
    NEURONS_STREAM_PATH.format(netuid=7): "pylon.v1.event.neurons.7",
    CHANGES_STREAM_PATH.format(netuid=7): "pylon.v1.event.changes.7",
}
PUBLIC = {path for path in READS if "/_unstable/" in path and "drand" in path}
"""The published clients send no token there."""


def event_of(subject: str) -> FeedEvent:
    block = Block(number=BlockNumber(1), hash=BlockHash(f"0x{1:064x}"))
    return FeedEvent(subject, block, b'{"number":1}')


async def test_the_token_of_any_identity_opens_every_open_read(client: httpx.AsyncClient) -> None:
    assert len(READS) > 30
    for path in READS:
        for token in (SN1_TOKEN, SN2_TOKEN, OPEN_TOKEN):
            assert (await client.get(path, headers=bearer(token))).status_code == 200, path
        for headers, status in ((bearer("wrong"), 403), ({}, 401)):
            expected = 200 if path in PUBLIC else status
            assert (await client.get(path, headers=headers)).status_code == expected, path


async def test_a_session_opens_every_open_read_unless_a_token_is_sent(
    client: httpx.AsyncClient,
) -> None:
    await log_in(client)
    for path in READS:
        assert (await client.get(path)).status_code == 200, path
    (path, *_) = set(READS) - PUBLIC
    basic = {"Authorization": "Basic c24xOnNuMQ=="}
    assert (await client.get(path, headers=basic)).status_code == 200
    assert (await client.get(path, headers=bearer("wrong"))).status_code == 403
    await client.post("/api/v1/logout")
    assert (await client.get(path)).status_code == 401


@pytest.mark.parametrize(("path", "subject"), STREAMS.items())
async def test_the_token_of_any_identity_opens_streams(
    nats: ScriptedNats, path: str, subject: str
) -> None:
    async with bridge_client(nats) as client:
        nats.published.put_nowait(event_of(subject))
        for token in (SN1_TOKEN, SN2_TOKEN, OPEN_TOKEN):
            stream = Stream(client, path, Authorization=f"Bearer {token}")
            await stream.has("id: 1\n")
            await stream.leave()
        assert (await client.get(path, headers=bearer("wrong"))).status_code == 403
        assert (await client.get(path)).status_code == 401


@pytest.mark.parametrize("open_token", [OPEN_TOKEN, ""])
async def test_an_identitys_streams_count_as_its_own(
    nats: ScriptedNats, monkeypatch: pytest.MonkeyPatch, open_token: str
) -> None:
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN", open_token)
    (path, *_), (subject, *_) = STREAMS.keys(), STREAMS.values()
    # One place for each identity and for open access, and none that is shared.
    async with bridge_client(nats, BridgeSettings(bridge_max_streams=1)) as client:
        nats.published.put_nowait(event_of(subject))
        streams: list[Stream] = []
        for token in (OPEN_TOKEN, SN1_TOKEN, SN2_TOKEN):
            stream = Stream(client, path, Authorization=f"Bearer {token}")
            await stream.has("id: 1\n")
            streams.append(stream)
            refused = await client.get(path, headers=bearer(token))
            assert refused.status_code == 429
            owner = "Open access" if token == OPEN_TOKEN else "Identity"
            assert refused.json()["detail"].startswith(owner)
        for stream in streams:
            await stream.leave()
