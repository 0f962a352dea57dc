"""Every block once and in order, with any behaviour of the subscription."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.blocks.head_tracker import HeadTracker
from pylon.blocks.watcher import (
    MAX_BACKFILL_BLOCKS,
    BlockWatcher,
    missed_blocks,
)
from pylon_client.contract.types import BlockNumber
from tests.support.chain.fake_chain import UNAVAILABLE, FakeChain
from tests.support.product.eventually import HANGS_AFTER_S, eventually


class Published:
    """Receives blocks; a test can wait for a block."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.free = asyncio.Event()
        self.free.set()
        self._changed = asyncio.Condition()

    async def __call__(self, number: BlockNumber) -> bool:
        await self.free.wait()
        self.numbers.append(number)
        async with self._changed:
            self._changed.notify_all()
        return True

    async def until(self, holds: Callable[[list[int]], bool]) -> None:
        async with asyncio.timeout(HANGS_AFTER_S), self._changed:
            await self._changed.wait_for(lambda: holds(self.numbers))


def heads_of(chain: FakeChain, *, poll_after_s: float = 60.0) -> HeadTracker:
    return HeadTracker(chain, silence_s=60.0, poll_after_s=poll_after_s)


@asynccontextmanager
async def watching(
    heads: HeadTracker, published: Published, last: int | None
) -> AsyncGenerator[BlockWatcher]:
    """Track the head, and pass every block after `last` to `published`."""
    watcher = BlockWatcher(heads, published)
    number = None if last is None else BlockNumber(last)
    tasks = [asyncio.create_task(heads.run()), asyncio.create_task(watcher.run(number))]
    try:
        yield watcher
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended


@given(
    # Within the backfill limit, which a property below tests.
    heads=st.lists(st.integers(0, MAX_BACKFILL_BLOCKS - 1), min_size=1, max_size=40),
    last=st.none() | st.integers(0, MAX_BACKFILL_BLOCKS - 1),
)
@settings(max_examples=150)
def test_jumps_repeats_and_reorgs_give_contiguous_numbers_once(
    heads: list[int], last: int | None
) -> None:
    async def scenario() -> list[int]:
        chain = FakeChain(heads[0])
        published = Published()
        followed = heads_of(chain)
        async with watching(followed, published, last):
            for head in heads:
                chain.announcements.put_nowait(head)
            highest = max(heads)
            while not chain.announcements.empty() or followed.newest != heads[-1]:
                await asyncio.sleep(0)
            if last is None or highest > last:
                chain.announcements.put_nowait(highest)
                await published.until(lambda numbers: bool(numbers) and numbers[-1] == highest)
        return published.numbers

    numbers = asyncio.run(scenario())
    if last is not None:
        assert numbers == list(range(last + 1, max(heads) + 1))
    else:
        assert numbers == list(range(numbers[0], max(heads) + 1))


@given(last=st.none() | st.integers(0, 2_000), head=st.integers(0, 2_000))
def test_the_backfill_is_limited_and_ends_at_the_head(last: int | None, head: int) -> None:
    missed = missed_blocks(None if last is None else BlockNumber(last), BlockNumber(head))
    assert len(missed) <= MAX_BACKFILL_BLOCKS
    if last is None:
        assert list(missed) == [head]
    elif head <= last:
        assert not missed
    else:
        assert missed[-1] == head
        assert missed[0] == last + 1 or len(missed) == MAX_BACKFILL_BLOCKS


async def test_a_broken_subscription_is_renewed_and_the_gap_is_filled() -> None:
    chain, published = FakeChain(10), Published()
    heads = heads_of(chain)
    async with watching(heads, published, 10):
        chain.announcements.put_nowait(11)
        await published.until(lambda numbers: 11 in numbers)
        chain.announcements.put_nowait(UNAVAILABLE)
        chain.head = 25
        await published.until(lambda numbers: 25 in numbers)
        assert published.numbers == list(range(11, 26))
        assert heads.subscriptions == 2


async def test_a_chain_that_is_down_at_the_start_is_followed_once_it_is_up() -> None:
    chain, published = FakeChain(10), Published()
    chain.down = UNAVAILABLE
    heads = heads_of(chain)
    async with watching(heads, published, 8):
        await eventually(lambda: heads.subscriptions >= 2)
        assert not published.numbers
        chain.down = None
        await published.until(lambda numbers: 10 in numbers)
        assert published.numbers == [9, 10]


async def test_polling_replaces_a_silent_subscription() -> None:
    chain, published = FakeChain(10), Published()
    heads = heads_of(chain, poll_after_s=0.01)
    async with watching(heads, published, 9):
        await published.until(lambda numbers: 10 in numbers)
        chain.head = 12
        await published.until(lambda numbers: 12 in numbers)
        assert published.numbers == [10, 11, 12]
        assert heads.polls >= 1
        assert heads.subscriptions == 1


async def test_an_announced_head_needs_no_read_of_the_chain() -> None:
    chain, published = FakeChain(10), Published()
    heads = heads_of(chain)
    async with watching(heads, published, 10):
        await eventually(lambda: chain.reads["heads"])
        before = chain.reads.total()
        for head in range(11, 31):
            chain.announcements.put_nowait(head)
        await published.until(lambda numbers: 30 in numbers)
        assert chain.reads.total() == before


async def test_the_chain_is_live_only_while_its_head_moves_after_a_failure() -> None:
    chain, published = FakeChain(10), Published()
    heads = heads_of(chain)
    async with watching(heads, published, 10):
        await heads.wait_until_live()
        dead = asyncio.create_task(heads.wait_until_lost(0))
        chain.announcements.put_nowait(UNAVAILABLE)
        await dead
        await eventually(lambda: heads.subscriptions == 2)
        assert not heads.is_live, "the same head was announced again"
        chain.announcements.put_nowait(11)
        await heads.wait_until_live()


async def test_a_chain_that_recovers_in_time_was_not_lost() -> None:
    chain, published = FakeChain(10), Published()
    heads = heads_of(chain)
    async with watching(heads, published, 10):
        await heads.wait_until_live()
        dead = asyncio.create_task(heads.wait_until_lost(60))
        chain.announcements.put_nowait(UNAVAILABLE)
        await eventually(lambda: not heads.is_live)
        chain.announcements.put_nowait(11)
        await eventually(lambda: heads.is_live)
        assert not dead.done()
        dead.cancel()


async def test_blocks_beyond_the_backfill_limit_are_dropped_logged_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chain, published = FakeChain(5_000), Published()
    async with watching(heads_of(chain), published, 1_000) as watcher:
        await published.until(lambda numbers: 5_000 in numbers)
    assert published.numbers == list(range(5_001 - MAX_BACKFILL_BLOCKS, 5_001))
    assert watcher.dropped_blocks == 4_000 - MAX_BACKFILL_BLOCKS
    assert f"blocks 1001 to {5_000 - MAX_BACKFILL_BLOCKS}" in caplog.text


async def test_while_a_block_waits_to_be_published_the_next_ones_wait_behind_it() -> None:
    chain, published = FakeChain(10), Published()
    published.free.clear()
    async with watching(heads_of(chain), published, 9):
        for head in (11, 12, 13):
            chain.announcements.put_nowait(head)
        while not chain.announcements.empty():
            await asyncio.sleep(0)
        assert not published.numbers
        published.free.set()
        await published.until(lambda numbers: 13 in numbers)
    assert published.numbers == [10, 11, 12, 13]


async def test_a_block_removed_by_a_reorg_is_published_when_it_exists_again() -> None:
    chain = FakeChain(20)
    published: list[int] = []
    heads = heads_of(chain)
    gone = asyncio.Event()

    async def sink(number: BlockNumber) -> bool:
        if number == 21 and not gone.is_set():
            chain.announcements.put_nowait(15)
            await eventually(lambda: heads.newest == 15)
            gone.set()
            return False
        published.append(number)
        return True

    watcher = BlockWatcher(heads, sink)
    tasks = [asyncio.create_task(heads.run()), asyncio.create_task(watcher.run(BlockNumber(19)))]
    await eventually(lambda: published == [20])
    chain.announcements.put_nowait(21)
    await gone.wait()
    chain.announcements.put_nowait(22)
    await eventually(lambda: published == [20, 21, 22])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_restarted_chain_is_logged_and_nothing_is_published(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chain, published = FakeChain(3), Published()
    async with watching(heads_of(chain), published, 5_000):
        await eventually(lambda: "was restarted" in caplog.text)
    assert not published.numbers
