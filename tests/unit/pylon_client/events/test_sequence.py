"""Announced events are read from the event log."""

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


class LaggingLog:
    """A log with one event, whose replica lacks it in the first `lags` reads."""

    def __init__(self, number: int, lags: int) -> None:
        self.event = event(number)
        self.lags = lags
        self.reads = 0

    async def __call__(self, _subject: str, after: BlockNumber | None = None) -> FeedEvent | None:
        self.reads += 1
        if self.reads <= self.lags or (after is not None and self.event.block.number <= after):
            return None
        return self.event


@asynccontextmanager
async def followed(
    log: LaggingLog, delivered: list[int]
) -> AsyncGenerator[tuple[EventSequence, asyncio.Event]]:
    came = asyncio.Event()

    async def deliver(event: FeedEvent) -> None:
        delivered.append(event.block.number)
        came.set()

    sequence = EventSequence("s", log, deliver, FeedCounts(), after=BlockNumber(4))
    running = asyncio.create_task(sequence.run())
    try:
        yield sequence, came
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_INITIAL_DELAY_S", 0.001)


@pytest.mark.parametrize("lags", [0, 1, module.MAX_INCOMPLETE_READS])
async def test_an_announced_event_is_read_until_a_lagging_replica_has_it(lags: int) -> None:
    delivered: list[int] = []
    async with followed(LaggingLog(5, lags), delivered) as (sequence, came):
        sequence.announce(BlockNumber(5))
        async with asyncio.timeout(HANGS_AFTER_S):
            await came.wait()
    assert delivered == [5]


async def test_an_event_missing_from_the_log_does_not_block_the_next_one() -> None:
    delivered: list[int] = []
    log = LaggingLog(6, module.MAX_INCOMPLETE_READS + 1)
    async with followed(log, delivered) as (sequence, came):
        sequence.announce(BlockNumber(5))
        await eventually(lambda: log.reads == log.lags)
        assert delivered == []
        sequence.announce(BlockNumber(6))
        async with asyncio.timeout(HANGS_AFTER_S):
            await came.wait()
    assert delivered == [6]
