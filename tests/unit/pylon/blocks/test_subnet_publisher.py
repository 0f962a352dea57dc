"""The queue of one subnet's snapshots."""

import asyncio

import pytest

from pylon.blocks.subnet_publisher import MAX_QUEUED_BLOCKS, SubnetPublisher
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.events.stored_events import FeedEvent
from tests.support.chain.fake_chain import block_of
from tests.support.product.eventually import eventually

SUBNET = NetUid(1)


class Recorder:
    """Reads neurons, and records published events and skipped blocks."""

    def __init__(self) -> None:
        self.published: list[int] = []
        self.skipped = 0
        self.publisher = SubnetPublisher(
            SUBNET, fetch=self.fetch, publish=self.publish, on_skipped=self.on_skipped
        )

    async def fetch(self, _netuid: NetUid, block: Block) -> tuple[Block, bytes]:
        return block, b"neurons"

    async def publish(self, event: FeedEvent) -> None:
        self.published.append(event.block.number)

    def on_skipped(self, netuid: NetUid, blocks: int) -> None:
        assert netuid == SUBNET
        self.skipped += blocks

    async def publish_until(self, number: int) -> None:
        task = asyncio.create_task(self.publisher.run())
        try:
            await eventually(lambda: number in self.published)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_queued_blocks_are_published_in_order() -> None:
    recorder = Recorder()
    for number in (5, 6, 7):
        recorder.publisher.enqueue(block_of(number))
    await recorder.publish_until(7)
    assert recorder.published == [5, 6, 7]
    assert recorder.publisher.published_snapshots == 3


async def test_blocks_up_to_the_last_stored_one_are_ignored() -> None:
    recorder = Recorder()
    recorder.publisher.resume_after(BlockNumber(6))
    for number in (5, 6, 7):
        recorder.publisher.enqueue(block_of(number))
    await recorder.publish_until(7)
    assert (recorder.published, recorder.skipped) == ([7], 0)


async def test_a_gap_in_the_queue_is_counted_as_skipped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = Recorder()
    recorder.publisher.enqueue(block_of(5))
    recorder.publisher.enqueue(block_of(9))
    await recorder.publish_until(9)
    assert (recorder.published, recorder.skipped) == ([5, 9], 3)
    assert "no snapshots at blocks 6 to 8" in caplog.text


async def test_a_full_queue_skips_its_oldest_block() -> None:
    recorder = Recorder()
    newest = 4 + MAX_QUEUED_BLOCKS + 2
    for number in range(5, newest + 1):
        recorder.publisher.enqueue(block_of(number))
    await recorder.publish_until(newest)
    assert recorder.published[0] == 7
    assert recorder.publisher.skipped_snapshots == recorder.skipped == 2
