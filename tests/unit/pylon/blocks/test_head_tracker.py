"""Accepted heads: successors of the last head, and heads that the node confirms."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from pylon.blocks.head_tracker import MAX_STEP_BLOCKS, MAX_UNVERIFIED_BLOCKS, HeadTracker
from pylon_client.contract.types import BlockNumber
from tests.support.chain.fake_chain import UNAVAILABLE, FakeChain
from tests.support.product.eventually import eventually


class LyingChain(FakeChain):
    """Announces given heads, independently of its head."""

    async def subscribe_heads(self, *, silence_s: float) -> AsyncGenerator[BlockNumber]:
        while True:
            announced = await self.announcements.get()
            if isinstance(announced, Exception):
                raise announced
            yield BlockNumber(announced)


@asynccontextmanager
async def followed(chain: FakeChain, seen: list[int]) -> AsyncGenerator[HeadTracker]:
    heads = HeadTracker(chain, observe_head=seen.append, silence_s=60, poll_after_s=60)
    running = asyncio.create_task(heads.run())
    await eventually(lambda: heads.newest == chain.head)
    try:
        yield heads
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("false", [2**32 - 1, 10 + MAX_STEP_BLOCKS + 1, 9, 0])
async def test_a_false_head_is_never_accepted(false: int, caplog: pytest.LogCaptureFixture) -> None:
    chain, seen = LyingChain(10), list[int]()
    async with followed(chain, seen) as heads:
        for _ in range(3):
            chain.announcements.put_nowait(false)
        await eventually(lambda: heads.suspect_heads == 3)
        chain.head = 11
        chain.announcements.put_nowait(11)
        await eventually(lambda: heads.newest == 11)
        assert set(seen) == {10, 11}
        assert heads.is_live
    logged = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(logged) <= 1, "a head that is announced repeatedly is logged once"


async def test_blocks_above_a_lower_head_are_reorged_out() -> None:
    chain, seen = LyingChain(10), list[int]()
    assert not HeadTracker(chain, silence_s=60).is_reorged_out(BlockNumber(10))
    async with followed(chain, seen) as heads:
        assert not heads.is_reorged_out(BlockNumber(10))
        chain.head = 8
        chain.announcements.put_nowait(8)
        await eventually(lambda: heads.newest == 8)
        assert heads.is_reorged_out(BlockNumber(9))
        assert not heads.is_reorged_out(BlockNumber(8))


async def test_a_lower_head_is_accepted_after_verification() -> None:
    chain, seen = LyingChain(5_000), list[int]()
    async with followed(chain, seen) as heads:
        chain.head = 3
        chain.announcements.put_nowait(3)
        await eventually(lambda: heads.newest == 3)
        chain.head = 4
        chain.announcements.put_nowait(4)
        await eventually(lambda: heads.newest == 4)
    assert seen == [5_000, 3, 4]


async def test_a_verified_jump_is_accepted() -> None:
    chain, seen = LyingChain(10), list[int]()
    async with followed(chain, seen) as heads:
        chain.head = 900
        chain.announcements.put_nowait(899)
        await eventually(lambda: heads.newest == 900)
        assert not heads.changed.is_set()


async def test_a_chain_that_seems_to_run_ahead_in_small_steps_is_verified() -> None:
    chain, seen = LyingChain(10), list[int]()
    async with followed(chain, seen) as heads:
        for head in range(11, 200):
            chain.announcements.put_nowait(head)
        await eventually(chain.announcements.empty)
        await eventually(lambda: heads.newest == 10)
    assert max(seen) <= 10 + MAX_UNVERIFIED_BLOCKS + 1
    assert chain.reads["latest"] < 200


async def test_an_unverified_head_does_not_replace_the_last_one() -> None:
    chain, seen = LyingChain(10), list[int]()
    async with followed(chain, seen) as heads:
        chain.down = UNAVAILABLE
        chain.announcements.put_nowait(2**32 - 1)
        await eventually(lambda: not heads.is_live)
        assert heads.newest == 10
        chain.down = None
        chain.head = 11
        chain.announcements.put_nowait(11)
        await eventually(lambda: heads.newest == 11)
        assert heads.is_live
