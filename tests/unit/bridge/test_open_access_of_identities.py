"""Identities in open access: their token and their session open every open read, as over NATS."""

from collections.abc import Mapping

import httpx
import pytest

from bridge.routes.stream_routes import BLOCK_STREAM_PATH, NEURONS_STREAM_PATH
from bridge.routes.unstable_routes import unstable_paths
from bridge.settings import BridgeSettings
from pylon_client.contract.models import Block
from pylon_client.contract.operations import OPERATIONS, Scope
from pylon_client.contract.reads import IDENTITIES
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

VALUES = {"netuid": 7, "block_number": 5, "extrinsic_index": 0, "hotkey": HOTKEY}
READS = sorted(
    {
        path.format(**VALUES)
        for operation in OPERATIONS
        if Scope.OPEN in operation.scopes and operation is not IDENTITIES
        for path in (operation.rest_path(Scope.OPEN), *unstable_paths(operation, Scope.OPEN))
    }
)
STREAMS = {
    BLOCK_STREAM_PATH: "pylon.v1.event.block",
    NEURONS_STREAM_PATH.format(netuid=7): "pylon.v1.event.neurons.7",
}
PUBLIC = {path for path in READS if "/_unstable/" in path and "drand" in path}
"""The published clients send no token there."""


def bearer(token: str) -> Mapping[bytes, bytes]:
    return {b"Authorization": f"Bearer {token}".encode()}


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
