"""A listener of an event stream of the bridge, without HTTP."""

import asyncio

from bridge.event_buffers import EventBuffer
from bridge.sse_response import StreamCounts, stream_frames
from pylon_client.contract import json_codec
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockHash, BlockNumber
from pylon_client.events.feed import FeedEvent
from tests.support.product.eventually import HANGS_AFTER_S


def event_of(number: int, subject: str = "pylon.v1.event.block") -> FeedEvent:
    block = Block(number=BlockNumber(number), hash=BlockHash(f"0x{number:064x}"))
    return FeedEvent(subject, block, json_codec.encode({"number": number}))


def channel_of(*numbers: int) -> EventBuffer:
    channel = EventBuffer("block")
    for number in numbers:
        channel.add([event_of(number)])
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
