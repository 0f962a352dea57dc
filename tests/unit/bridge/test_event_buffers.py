"""Buffers of events that all listeners of a subject share."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from bridge.event_buffers import EventBuffers
from pylon_client.events.feed import FeedEvent
from tests.support.wire.sse_listener import Listener, channel_of, event_of


async def test_one_subscription_serves_all_listeners_of_a_subject() -> None:
    begun: list[str] = []

    async def follow(subject: str, receive: Callable[[Sequence[FeedEvent]], None]) -> None:
        begun.append(subject)
        receive([event_of(0), event_of(1)])
        await asyncio.Event().wait()

    channels = EventBuffers(follow)
    opened = {id(channels.open("a", "block")) for _ in range(200)}
    channel = channels.open("b", "block")
    assert await Listener(channel).next() == 1
    assert len(opened) == 1
    assert sorted(begun) == ["a", "b"]
    channels.close()
    assert channel.ended
    assert channels.open("c", "block").ended
    await asyncio.sleep(0)
    assert sorted(begun) == ["a", "b"]


async def test_events_that_cannot_be_decoded_are_skipped(caplog: pytest.LogCaptureFixture) -> None:
    channel = channel_of(1)
    listener = Listener(channel)
    assert await listener.next() == 1
    channel.add([replace(event_of(2), body=b"\xff"), event_of(3)])
    assert await listener.take(2) == ["missed", 3]
    assert "Could not decode block 2 of pylon.v1.event.block" in caplog.text


async def test_listeners_of_events_that_failed_come_again_to_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun: list[str] = []

    async def follow(subject: str, receive: Callable[[Sequence[FeedEvent]], None]) -> None:
        begun.append(subject)
        receive([event_of(len(begun))])
        if len(begun) == 1:
            raise LookupError("nobody has foreseen this")
        await asyncio.Event().wait()

    channels = EventBuffers(follow)
    listener = Listener(channels.open("a", "block"))
    assert await listener.take(2) == [1, "closing"]
    assert "Event feed of a failed" in caplog.text
    assert await Listener(channels.open("a", "block")).next() == 2
    channels.close()
