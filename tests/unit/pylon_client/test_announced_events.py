"""Events that are too large to come by themselves are fetched from the stream."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockHash, BlockNumber
from pylon_client.events import sequence as module
from pylon_client.events.sequence import EventSequence, FeedCounts
from pylon_client.events.stored_events import FeedEvent
from tests.support.product.eventually import HANGS_AFTER_S, eventually


def event(number: int) -> FeedEvent:
    block = Block(number=BlockNumber(number), hash=BlockHash(f"0x{number:064x}"))
    return FeedEvent("s", block, b"body")


class LaggingStream:
    """Has one event, and a replica that answers so many times as if it had not."""

    def __init__(self, number: int, lags: int) -> None:
        self.event = event(number)
        self.lags = lags
        self.asked = 0

    async def __call__(self, _subject: str, after: BlockNumber | None = None) -> FeedEvent | None:
        self.asked += 1
        if self.asked <= self.lags or (after is not None and self.event.block.number <= after):
            return None
        return self.event


@asynccontextmanager
async def followed(
    stream: LaggingStream, given: list[int]
) -> AsyncGenerator[tuple[EventSequence, asyncio.Event]]:
    came = asyncio.Event()

    async def give(event: FeedEvent) -> None:
        given.append(event.block.number)
        came.set()

    sequence = EventSequence("s", stream, give, FeedCounts(), after=BlockNumber(4))
    running = asyncio.create_task(sequence.run())
    try:
        yield sequence, came
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_INITIAL_DELAY_S", 0.001)


@pytest.mark.parametrize("lags", [0, 1, module.INCOMPLETE_READS_MAX])
async def test_an_announced_event_is_asked_for_until_a_lagging_replica_has_it(lags: int) -> None:
    given: list[int] = []
    async with followed(LaggingStream(5, lags), given) as (sequence, came):
        sequence.announce(BlockNumber(5))
        async with asyncio.timeout(HANGS_AFTER_S):
            await came.wait()
    assert given == [5]


async def test_an_event_that_the_stream_never_has_does_not_hold_up_the_next_one() -> None:
    given: list[int] = []
    stream = LaggingStream(6, module.INCOMPLETE_READS_MAX + 1)
    async with followed(stream, given) as (sequence, came):
        sequence.announce(BlockNumber(5))
        await eventually(lambda: stream.asked == stream.lags)
        assert given == []
        sequence.announce(BlockNumber(6))
        async with asyncio.timeout(HANGS_AFTER_S):
            await came.wait()
    assert given == [6]
