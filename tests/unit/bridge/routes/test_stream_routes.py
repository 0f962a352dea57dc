"""Access to event streams over HTTP."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from bridge.settings import BridgeSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from tests.support.nats.scripted_nats import OPEN_TOKEN, Asked, ScriptedNats, bridge_client
from tests.support.wire.asgi_stream import Stream
from tests.support.wire.sse_listener import event_of

BLOCKS = "/api/v1/block/stream"
CHANGES = "/api/v1/subnet/7/neurons/changes/stream"
NEURONS = "/api/v1/subnet/7/neurons/stream"
OPEN = {"Authorization": f"Bearer {OPEN_TOKEN}"}


@pytest.fixture
async def own_client(nats: ScriptedNats) -> AsyncGenerator[httpx.AsyncClient]:
    """A caller with open access, of an app that remembers nothing."""
    async with bridge_client(nats) as client:
        client.headers["Authorization"] = f"Bearer {OPEN_TOKEN}"
        yield client


async def test_values_arrive_over_http(own_client: httpx.AsyncClient, nats: ScriptedNats) -> None:
    stream = Stream(own_client, BLOCKS, **OPEN)
    for number in (1, 2):
        nats.published.put_nowait(event_of(number))
        await stream.has(f'event: block\ndata: {{"number":{number}}}\nid: {number}\n\n')
    assert stream.status == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "private, no-store"
    await stream.leave()


async def test_a_subnets_neurons_are_streamed_where_it_is_tracked(
    own_client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    def fail(asked: Asked) -> bytes:
        raise FailureError(code, "Add 7 to PYLON_TRACKED_NETUIDS.")

    nats.answer = fail
    code = ErrorCode.NOT_FOUND
    response = await own_client.get(NEURONS)
    assert response.status_code == 404
    assert "PYLON_TRACKED_NETUIDS" in response.json()["detail"]
    assert [asked.subject for asked in nats.asked] == ["pylon.v1.open.7.neurons.recent"]
    # While the chain is away there is no new value, but the subnet is tracked.
    code = ErrorCode.NO_RECENT_SNAPSHOT
    stream = Stream(own_client, NEURONS, **OPEN)
    nats.published.put_nowait(event_of(9, "pylon.v1.event.neurons.7"))
    await stream.has("event: neurons\n")
    # Once it is known to be, nobody is asked.
    another = Stream(own_client, NEURONS, **OPEN)
    await another.has("id: 9\n")
    assert len(nats.asked) == 2
    await stream.leave()
    await another.leave()


async def test_the_changes_of_a_subnet_are_streamed(
    own_client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    stream = Stream(own_client, CHANGES, **OPEN)
    nats.published.put_nowait(event_of(9, "pylon.v1.event.changes.7"))
    await stream.has('event: changes\ndata: {"number":9}\nid: 9\n\n')
    assert [asked.subject for asked in nats.asked] == ["pylon.v1.open.7.neurons.recent"]
    await stream.leave()


@pytest.mark.parametrize("path", [BLOCKS, NEURONS, CHANGES])
async def test_a_stream_requires_a_token_with_open_access(
    client: httpx.AsyncClient, nats: ScriptedNats, path: str
) -> None:
    assert (await client.get(path)).status_code == 401
    headers = {"Authorization": "Bearer wrong"}
    assert (await client.get(path, headers=headers)).status_code == 403
    assert not nats.asked


@pytest.mark.parametrize("last_id", ["-1", "x", "1.5", "4294967296"])
async def test_an_invalid_last_event_id_is_rejected(
    open_client: httpx.AsyncClient, last_id: str
) -> None:
    response = await open_client.get(BLOCKS, headers={"Last-Event-ID": last_id})
    (item,) = response.json()["extra"]
    assert response.status_code == 400
    assert (item["key"], item["source"]) == ("Last-Event-ID", "header")


@pytest.mark.parametrize("path", [BLOCKS, NEURONS, CHANGES])
async def test_without_nats_no_stream_begins(
    open_client: httpx.AsyncClient, nats: ScriptedNats, path: str
) -> None:
    nats.is_connected = False
    response = await open_client.get(path)
    assert (response.status_code, response.json()["code"]) == (503, "NATS_UNAVAILABLE")
    assert response.headers["Retry-After"] == "1"


async def test_streams_have_slots_of_their_own(nats: ScriptedNats) -> None:
    settings = BridgeSettings(bridge_max_streams=1, bridge_max_requests=1)
    async with bridge_client(nats, settings) as client:
        client.headers.update(OPEN)
        stream = Stream(client, BLOCKS, **OPEN)
        nats.published.put_nowait(event_of(1))
        await stream.has("id: 1\n")
        refused = await client.get(BLOCKS)
        assert refused.status_code == 429
        assert refused.json()["code"] == "OVERLOADED"
        assert refused.headers["Retry-After"] == "1"
        assert (await client.get("/api/v1/block/latest")).status_code == 200
        await stream.leave()
        again = Stream(client, BLOCKS, **OPEN)
        await again.has("id: 1\n")
        await again.leave()
