"""Frames that listeners of a stream receive, and access to it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import httpx
import pytest
from starlette.types import Message

import bridge.sse_response
from bridge.event_buffers import BUFFER_SIZE, EventBuffer, EventBuffers
from bridge.settings import BridgeSettings
from bridge.sse_response import StreamCounts, StreamResponse, frame_encoder, stream_frames
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockHash, BlockNumber
from pylon_client.events.feed import FeedEvent
from tests.support.nats.scripted_nats import OPEN_TOKEN, Asked, ScriptedNats, bridge_client
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.wire.asgi_stream import Stream

BLOCKS = "/api/v1/block/stream"
NEURONS = "/api/v1/subnet/7/neurons/stream"


@pytest.fixture
async def own_client(nats: ScriptedNats) -> AsyncGenerator[httpx.AsyncClient]:
    """A caller with open access, of an app that remembers nothing."""
    async with bridge_client(nats) as client:
        client.headers["Authorization"] = f"Bearer {OPEN_TOKEN}"
        yield client


def event_of(number: int, subject: str = "pylon.v1.event.block") -> FeedEvent:
    block = Block(number=BlockNumber(number), hash=BlockHash(f"0x{number:064x}"))
    return FeedEvent(subject, block, json_codec.encode({"number": number}))


def channel_of(*numbers: int) -> EventBuffer:
    channel = EventBuffer(frame_encoder("block"))
    for number in numbers:
        channel.add(event_of(number))
    return channel


def parsed(frame: bytes) -> dict[str, str]:
    assert frame.endswith(b"\n\n")
    return dict(line.split(": ", 1) for line in frame.decode().splitlines() if line)


class Listener:
    """Takes frames one at a time, as `id` numbers or else as the names of events."""

    def __init__(self, channel: EventBuffer, last_id: int | None = None) -> None:
        self.counts = StreamCounts()
        last = None if last_id is None else BlockNumber(last_id)
        self._frames = stream_frames(channel, last, self.counts)

    async def next(self) -> int | str:
        async with asyncio.timeout(HANGS_AFTER_S):
            frame = parsed(await anext(self._frames))
        return int(frame["id"]) if "id" in frame else frame.get("event", "comment")

    async def take(self, count: int) -> list[int | str]:
        return [await self.next() for _ in range(count)]


async def test_the_newest_value_comes_first_and_then_each_that_follows() -> None:
    channel = channel_of(1, 2, 3)
    listener = Listener(channel)
    assert await listener.next() == 3
    channel.add(event_of(4))
    channel.add(event_of(5))
    assert await listener.take(2) == [4, 5]


async def test_the_first_value_may_be_still_to_come() -> None:
    channel = channel_of()
    listener = Listener(channel)
    waiting = asyncio.create_task(listener.next())
    await asyncio.sleep(0)
    channel.add(event_of(1))
    assert await waiting == 1


async def test_a_listener_goes_on_after_the_last_value_it_has() -> None:
    assert await Listener(channel_of(*range(1, 9)), last_id=5).take(3) == [6, 7, 8]


async def test_a_late_listener_receives_a_missed_event_but_is_not_counted_as_slow() -> None:
    channel = channel_of(*range(10, 10 + BUFFER_SIZE + 5))
    listener = Listener(channel, last_id=3)
    assert await listener.take(2) == ["missed", 15]
    assert listener.counts.fell_behind == 0


async def test_who_has_the_newest_value_waits_for_the_next() -> None:
    channel = channel_of(1, 2)
    listener = Listener(channel, last_id=2)
    waiting = asyncio.create_task(listener.next())
    await asyncio.sleep(0)
    channel.add(event_of(3))
    assert await waiting == 3


async def test_a_value_of_another_chains_future_does_not_silence_a_stream() -> None:
    assert await Listener(channel_of(1, 2), last_id=2 + BUFFER_SIZE + 1).next() == 2


async def test_gaps_are_reported_as_missed_events() -> None:
    channel = channel_of(1, 5)
    frames_of = stream_frames(channel, BlockNumber(1), StreamCounts())
    async with aclosing(frames_of):
        missed = parsed(await anext(frames_of))
    assert missed["event"] == "missed"
    assert "id" not in missed
    told = json_codec.decode(missed["data"].encode())
    assert (told["after_block_number"], told["before_block_number"]) == (1, 5)


async def test_a_slow_listener_catches_up_or_receives_a_missed_event() -> None:
    channel = channel_of(0)
    listener = Listener(channel)
    assert await listener.next() == 0
    for number in range(1, BUFFER_SIZE + 1):
        channel.add(event_of(number))
    assert await listener.take(2) == [1, 2]
    for number in range(BUFFER_SIZE + 1, 2 * BUFFER_SIZE + 1):
        channel.add(event_of(number))
    assert await listener.take(2) == ["missed", BUFFER_SIZE + 1]
    assert listener.counts.fell_behind == 1


async def test_a_value_is_made_into_bytes_once_for_all() -> None:
    channel = channel_of()
    listening = [stream_frames(channel, None, StreamCounts()) for _ in range(200)]
    tasks = [asyncio.create_task(anext(one)) for one in listening]
    await asyncio.sleep(0)
    channel.add(event_of(1))
    sent = await asyncio.gather(*tasks)
    assert len({id(frame) for frame in sent}) == 1
    for one in listening:
        await one.aclose()


async def test_while_nothing_happens_a_comment_shows_that_the_stream_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge.sse_response, "HEARTBEAT_INTERVAL_S", 0.0)
    stream = stream_frames(channel_of(), None, StreamCounts())
    async with aclosing(stream):
        assert (await anext(stream)).startswith(b":")


async def test_the_closing_event_follows_all_others() -> None:
    channel = channel_of(1, 2)
    channel.end()
    stream = stream_frames(channel, BlockNumber(0), StreamCounts())
    sent = [parsed(frame) async for frame in stream]
    assert [frame.get("id") for frame in sent] == ["1", "2", None]
    assert sent[-1]["event"] == "closing"
    assert 500 <= int(sent[-1]["retry"]) <= 3000


async def test_one_subscription_serves_all_listeners_of_a_subject() -> None:
    begun: list[str] = []

    async def events(subject: str) -> AsyncGenerator[list[FeedEvent]]:
        begun.append(subject)
        yield [event_of(0), event_of(1)]
        await asyncio.Event().wait()

    channels = EventBuffers(events)
    opened = {id(channels.open("a", frame_encoder("block"))) for _ in range(200)}
    channel = channels.open("b", frame_encoder("block"))
    assert await Listener(channel).next() == 1
    assert len(opened) == 1
    assert sorted(begun) == ["a", "b"]
    channels.close()
    assert channel.ended
    assert channels.open("c", frame_encoder("block")).ended
    await asyncio.sleep(0)
    assert sorted(begun) == ["a", "b"]


async def test_events_that_cannot_be_decoded_are_skipped(caplog: pytest.LogCaptureFixture) -> None:
    channel = channel_of(1)
    listener = Listener(channel)
    assert await listener.next() == 1
    channel.add(replace(event_of(2), body=b"\xff"), event_of(3))
    assert await listener.take(2) == ["missed", 3]
    assert "Could not decode block 2 of pylon.v1.event.block" in caplog.text


async def test_listeners_of_events_that_failed_come_again_to_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun: list[str] = []

    async def events(subject: str) -> AsyncGenerator[list[FeedEvent]]:
        begun.append(subject)
        yield [event_of(len(begun))]
        if len(begun) == 1:
            raise LookupError("nobody has foreseen this")
        await asyncio.Event().wait()

    channels = EventBuffers(events)
    listener = Listener(channels.open("a", frame_encoder("block")))
    assert await listener.take(2) == [1, "closing"]
    assert "Event feed of a failed" in caplog.text
    assert await Listener(channels.open("a", frame_encoder("block"))).next() == 2
    channels.close()


async def test_a_listener_that_reads_nothing_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge.sse_response, "SEND_TIMEOUT_S", 0.01)
    counts = StreamCounts()
    response = StreamResponse(stream_frames(channel_of(1), None, counts), counts, is_private=False)

    async def stuck(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    await response.stream_response(stuck)
    assert (counts.timed_out, counts.open_streams) == (1, 0)


OPEN = {"Authorization": f"Bearer {OPEN_TOKEN}"}


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


@pytest.mark.parametrize("path", [BLOCKS, NEURONS])
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


@pytest.mark.parametrize("path", [BLOCKS, NEURONS])
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
