"""Frames that listeners of a stream receive."""

import asyncio
from contextlib import aclosing

import pytest
from starlette.types import Message

import bridge.sse_response
from bridge.event_buffers import BUFFER_SIZE
from bridge.sse_response import StreamCounts, StreamResponse, stream_frames
from pylon_client.contract import json_codec
from pylon_client.contract.types import BlockNumber
from tests.support.wire.sse_listener import Listener, channel_of, event_of, parsed


async def test_the_newest_value_comes_first_and_then_each_that_follows() -> None:
    channel = channel_of(1, 2, 3)
    listener = Listener(channel)
    assert await listener.next() == 3
    channel.add([event_of(4)])
    channel.add([event_of(5)])
    assert await listener.take(2) == [4, 5]


async def test_the_first_value_may_be_still_to_come() -> None:
    channel = channel_of()
    listener = Listener(channel)
    waiting = asyncio.create_task(listener.next())
    await asyncio.sleep(0)
    channel.add([event_of(1)])
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
    channel.add([event_of(3)])
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
    reported = json_codec.decode(missed["data"].encode())
    assert (reported["after_block_number"], reported["before_block_number"]) == (1, 5)


async def test_a_slow_listener_catches_up_or_receives_a_missed_event() -> None:
    channel = channel_of(0)
    listener = Listener(channel)
    assert await listener.next() == 0
    for number in range(1, BUFFER_SIZE + 1):
        channel.add([event_of(number)])
    assert await listener.take(2) == [1, 2]
    for number in range(BUFFER_SIZE + 1, 2 * BUFFER_SIZE + 1):
        channel.add([event_of(number)])
    assert await listener.take(2) == ["missed", BUFFER_SIZE + 1]
    assert listener.counts.fell_behind == 1


async def test_a_value_is_made_into_bytes_once_for_all() -> None:
    channel = channel_of()
    listening = [stream_frames(channel, None, StreamCounts()) for _ in range(200)]
    tasks = [asyncio.create_task(anext(one)) for one in listening]
    await asyncio.sleep(0)
    channel.add([event_of(1)])
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
