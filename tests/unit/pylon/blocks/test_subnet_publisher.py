"""The snapshots of one subnet: once, in order, and without a gap after a takeover."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from pylon.blocks.snapshot_fetcher import SnapshotFetcher
from pylon.blocks.subnet_publisher import MAX_QUEUED_BLOCKS, SubnetPublisher
from pylon.chain.chain_reader import ChainReader
from pylon.events.event_types import message_id, neurons_event
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, SubnetNeurons
from pylon_client.contract.subjects import NeuronsEventSubject
from pylon_client.contract.types import NetUid
from tests.support.chain.fake_chain import UNAVAILABLE, FakeChain, block_of, hash_of
from tests.support.product.eventually import eventually
from tests.support.wire.fake_stream import FakeStream

SUBNET = NetUid(1)
SNAPSHOTS = str(NeuronsEventSubject(SUBNET))


class System:
    """A publisher of one subnet, its chain and its stream."""

    def __init__(self, head: int = 100, *, retry_timeout_s: float = 12.0) -> None:
        self.chain = FakeChain(head)
        self.stream = FakeStream()
        self.skipped = 0
        self.progress = 0
        self.received: Block | None = None
        fetcher = SnapshotFetcher(ChainReader(self.chain, chain_timeout_s=30))
        self.publisher = SubnetPublisher(
            SUBNET,
            fetch=fetcher.fetch,
            block_at=fetcher.block,
            sink=self.stream,
            last_received=lambda _: self.received,
            retry_timeout_s=retry_timeout_s,
            on_progress=self._on_progress,
            on_skipped=self._on_skipped,
        )

    @property
    def numbers(self) -> list[int]:
        return self.stream.numbers(SNAPSHOTS)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        task = asyncio.create_task(self.publisher.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def publish_until(self, number: int) -> None:
        async with self.running():
            await self.stream.until(lambda: number in self.numbers)

    def reads(self, number: int) -> int:
        return self.chain.reads["neurons", SUBNET, number]

    def _on_progress(self) -> None:
        self.progress += 1

    def _on_skipped(self, netuid: NetUid, blocks: int) -> None:
        assert netuid == SUBNET
        self.skipped += blocks


async def test_a_snapshot_is_exactly_what_rest_returns() -> None:
    system = System()
    system.publisher.enqueue(block_of(5))
    await system.publish_until(5)
    neurons = json_codec.encode(SubnetNeurons(block=block_of(5), neurons={}))
    assert system.stream.events == [neurons_event(SUBNET, block_of(5), neurons)]
    assert message_id(system.stream.events[0]) == f"1-{hash_of(5)}"


async def test_queued_blocks_are_published_once_and_in_order() -> None:
    system = System()
    for number in (5, 6, 6, 7):
        system.publisher.enqueue(block_of(number))
    assert not system.publisher.is_idle
    async with system.running():
        await eventually(lambda: system.publisher.is_idle)
    assert system.numbers == [5, 6, 7]
    assert system.publisher.published_snapshots == system.progress == 3
    assert [system.reads(number) for number in (5, 6, 7)] == [1, 1, 1]


async def test_while_nats_is_down_a_snapshot_waits_and_is_read_once() -> None:
    system = System()
    system.stream.refusals = 3
    system.publisher.enqueue(block_of(5))
    await system.publish_until(5)
    assert system.reads(5) == 1


async def test_a_gap_in_the_queue_is_counted_as_skipped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    system = System()
    system.publisher.enqueue(block_of(5))
    system.publisher.enqueue(block_of(9))
    await system.publish_until(9)
    assert (system.numbers, system.skipped) == ([5, 9], 3)
    assert "no snapshots at blocks 6 to 8 (3 skipped so far)" in caplog.text


async def test_a_full_queue_skips_its_oldest_block() -> None:
    system = System()
    newest = 4 + MAX_QUEUED_BLOCKS + 2
    for number in range(5, newest + 1):
        system.publisher.enqueue(block_of(number))
    await system.publish_until(newest)
    assert system.numbers[0] == 7
    assert system.publisher.skipped_snapshots == system.skipped == 2


async def test_a_new_owner_fills_in_the_missing_snapshots() -> None:
    before, after = System(), System()
    for number in (50, 51):
        before.publisher.enqueue(block_of(number))
    await before.publish_until(51)
    after.stream.events = before.stream.events
    after.stream.refusals = 2
    after.publisher.take_over(block_of(54))
    after.publisher.enqueue(block_of(55))
    await after.publish_until(55)
    assert after.numbers == [50, 51, 52, 53, 54, 55]
    assert [after.reads(number) for number in range(50, 56)] == [0, 0, 1, 1, 1, 1]


async def test_a_new_owner_fills_in_no_more_than_the_stream_stores() -> None:
    system = System()
    system.publisher.enqueue(block_of(5))
    await system.publish_until(5)
    system.publisher.take_over(block_of(90))
    await system.publish_until(90)
    assert system.numbers == [5, *range(91 - MAX_QUEUED_BLOCKS, 91)]


async def test_a_new_owner_publishes_nothing_that_is_stored() -> None:
    before, system = System(), System()
    for number in (50, 51, 52):
        before.publisher.enqueue(block_of(number))
    await before.publish_until(52)
    system.stream.events = before.stream.events
    system.publisher.take_over(block_of(51))
    for number in (52, 53):
        system.publisher.enqueue(block_of(number))
    await system.publish_until(53)
    assert system.numbers == [50, 51, 52, 53]
    assert [system.reads(number) for number in (51, 52, 53)] == [0, 0, 1]


async def test_a_newly_tracked_subnet_starts_with_the_block() -> None:
    system = System()
    system.publisher.take_over(block_of(55))
    await system.publish_until(55)
    assert system.numbers == [55]


async def test_in_a_stream_that_was_created_again_it_continues_after_the_received_event() -> None:
    system = System()
    system.received = block_of(53)
    system.publisher.take_over(block_of(55))
    await system.publish_until(55)
    assert system.numbers == [54, 55]


async def test_a_takeover_in_a_full_queue_is_not_forgotten() -> None:
    system = System(200)
    system.publisher.enqueue(block_of(50))
    await system.publish_until(50)
    for number in range(100, 100 + MAX_QUEUED_BLOCKS + 1):
        (system.publisher.take_over if number == 100 else system.publisher.enqueue)(
            block_of(number)
        )
    await system.publish_until(100 + MAX_QUEUED_BLOCKS)
    assert 100 in system.numbers, "it is published by the takeover of the next block"


async def test_dropped_blocks_are_not_read_again() -> None:
    system = System()
    system.chain.failing_netuids[SUBNET] = UNAVAILABLE
    for number in (5, 6):
        system.publisher.enqueue(block_of(number))
    async with system.running():
        await eventually(lambda: system.reads(5))
        system.publisher.drop()
        await eventually(lambda: system.publisher.is_idle)
        system.chain.failing_netuids.clear()
        system.publisher.take_over(block_of(7))
        await system.stream.until(lambda: 7 in system.numbers)
    assert system.numbers == [7]
    assert (system.reads(6), system.skipped) == (0, 0)


async def test_a_subnet_that_fails_for_a_moment_is_tried_again() -> None:
    system = System()
    system.chain.failing_netuids[SUBNET] = UNAVAILABLE
    async with system.running():
        system.publisher.enqueue(block_of(5))
        await eventually(lambda: system.reads(5) >= 2)
        system.chain.failing_netuids.clear()
        await system.stream.until(lambda: system.numbers == [5])
    assert system.publisher.skipped_snapshots == 0


async def test_a_subnet_that_keeps_failing_is_skipped_for_the_next_block() -> None:
    system = System(retry_timeout_s=0.0)
    system.chain.failing_netuids[SUBNET] = UNAVAILABLE
    system.publisher.enqueue(block_of(5))
    system.publisher.enqueue(block_of(6))
    async with system.running():
        await eventually(lambda: system.skipped == 1)
        assert system.progress == 0
        system.chain.failing_netuids.clear()
        await system.stream.until(lambda: system.numbers == [6])
    assert system.publisher.skipped_snapshots == 1


async def test_a_missing_subnet_is_skipped_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    system = System()
    system.chain.failing_netuids[SUBNET] = FailureError(ErrorCode.NOT_FOUND, "Subnet 1 not found.")
    for number in range(5, 10):
        system.publisher.enqueue(block_of(number))
    async with system.running():
        await eventually(lambda: system.skipped == 5)
    assert not system.numbers
    assert system.progress == 5, "the chain has answered"
    warnings = [record for record in caplog.records if "no snapshot" in record.message]
    assert [record.levelname for record in warnings if record.levelname == "WARNING"] == ["WARNING"]
