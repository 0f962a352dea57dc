"""Each block and each snapshot is published once and in order, also after outages."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from pylon.blocks.block_publisher import BlockPublisher
from pylon.blocks.subnet_publisher import MAX_QUEUED_BLOCKS, SubnetPublisher
from pylon.chain.chain_reader import ChainReader
from pylon.events.event_types import block_event, message_id, neurons_event
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, BlockInfo, SubnetNeurons
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber, NetUid, Timestamp
from tests.support.chain.fake_chain import UNAVAILABLE, FakeChain, block_of, hash_of
from tests.support.product.stepped_loop import run_stepped
from tests.support.wire.fake_stream import FakeStream

BLOCKS = str(BlockEventSubject())
ONE, TWO = NetUid(1), NetUid(2)
NO_SUCH_SUBNET = FailureError(ErrorCode.NOT_FOUND, "Subnet 2 not found.")


def snapshots_of(netuid: NetUid) -> str:
    return str(NeuronsEventSubject(netuid))


def publisher_of(chain: FakeChain, stream: FakeStream, *netuids: NetUid) -> BlockPublisher:
    reader = ChainReader(chain, chain_timeout_s=30)
    return BlockPublisher(chain, reader, stream, netuids, chain_timeout_s=30)


@asynccontextmanager
async def running(publisher: BlockPublisher) -> AsyncGenerator[None]:
    task = asyncio.create_task(publisher.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_block_and_its_snapshots_are_exactly_what_rest_answers() -> None:
    chain, stream = FakeChain(5), FakeStream()
    publisher = publisher_of(chain, stream, ONE)
    async with running(publisher):
        await publisher.publish(BlockNumber(5), with_neurons=True)
        await stream.until(lambda: stream.numbers(snapshots_of(ONE)) == [5])
    info = BlockInfo(number=BlockNumber(5), hash=hash_of(5), timestamp=Timestamp(1_700_000_060))
    neurons = json_codec.encode(SubnetNeurons(block=block_of(5), neurons={}))
    assert stream.events == [
        block_event(info, hash_of(4)),
        neurons_event(ONE, block_of(5), neurons),
    ]
    assert [message_id(event) for event in stream.events] == [
        f"block-{hash_of(5)}",
        f"1-{hash_of(5)}",
    ]
    assert json_codec.decode(stream.events[0].body) == {
        "number": 5,
        "hash": hash_of(5),
        "timestamp": 1_700_000_060,
    }


async def test_each_subnet_is_fetched_once_per_block() -> None:
    chain, stream = FakeChain(9), FakeStream()
    publisher = publisher_of(chain, stream, ONE, TWO)
    async with running(publisher):
        for number in range(5, 10):
            await publisher.publish(BlockNumber(number), with_neurons=True)
        await stream.until(lambda: len(stream.events) == 15)
    for netuid in (ONE, TWO):
        assert stream.numbers(snapshots_of(netuid)) == [5, 6, 7, 8, 9]
        assert [chain.reads["neurons", netuid, number] for number in range(5, 10)] == [1] * 5


@pytest.mark.parametrize("lost", ["before it is stored", "after it is stored"])
async def test_while_nats_is_down_a_block_waits_and_is_stored_once(lost: str) -> None:
    chain, stream = FakeChain(6), FakeStream()
    publisher = publisher_of(chain, stream)
    if lost == "before it is stored":
        stream.refusals = 3
    else:
        stream.unanswered = 3
    await publisher.publish(BlockNumber(5), with_neurons=True)
    await publisher.publish(BlockNumber(6), with_neurons=True)
    assert stream.numbers(BLOCKS) == [5, 6]


async def test_a_failing_subnet_holds_up_neither_the_block_nor_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chain, stream = FakeChain(9), FakeStream()
    chain.failing_netuids[TWO] = NO_SUCH_SUBNET
    publisher = publisher_of(chain, stream, ONE, TWO)
    async with running(publisher):
        for number in range(5, 10):
            await publisher.publish(BlockNumber(number), with_neurons=True)
        await stream.until(lambda: stream.numbers(snapshots_of(ONE)) == [5, 6, 7, 8, 9])
        second = publisher.subnet_publishers[1]
        while second.skipped_snapshots < 5:
            await asyncio.sleep(0.01)
    assert stream.numbers(BLOCKS) == [5, 6, 7, 8, 9]
    assert stream.numbers(snapshots_of(TWO)) == []
    warnings = [record for record in caplog.records if "no snapshot" in record.message]
    assert [record.levelname for record in warnings if record.levelname == "WARNING"] == ["WARNING"]


async def test_the_snapshot_of_a_block_removed_by_a_reorg_is_read_at_its_replacement() -> None:
    chain, stream = FakeChain(6), FakeStream()
    publisher = publisher_of(chain, stream, ONE)
    await publisher.publish(BlockNumber(5), with_neurons=True)
    chain.fork = 1
    async with running(publisher):
        await publisher.publish(BlockNumber(6), with_neurons=True)
        await stream.until(lambda: stream.numbers(snapshots_of(ONE)) == [5, 6])
    (event,) = [
        event
        for event in stream.events
        if event.subject == snapshots_of(ONE) and event.block.number == 5
    ]
    assert event.block == block_of(5, fork=1)
    assert message_id(event) == f"1-{hash_of(5, fork=1)}"
    assert json_codec.decode(event.body)["block"]["hash"] == hash_of(5, fork=1)


async def test_a_subnet_that_fails_for_a_moment_is_tried_again() -> None:
    chain, stream = FakeChain(5), FakeStream()
    chain.failing_netuids[ONE] = UNAVAILABLE
    publisher = publisher_of(chain, stream, ONE)
    async with running(publisher):
        await publisher.publish(BlockNumber(5), with_neurons=True)
        while chain.reads["neurons", ONE, 5] < 2:
            await asyncio.sleep(0.01)
        chain.failing_netuids.clear()
        await stream.until(lambda: stream.numbers(snapshots_of(ONE)) == [5])
    assert publisher.subnet_publishers[0].skipped_snapshots == 0


async def test_a_subnet_that_keeps_failing_is_skipped_for_the_next_block() -> None:
    stream = FakeStream()

    async def fetch(netuid: NetUid, block: Block) -> tuple[Block, bytes]:
        if block == block_of(5):
            raise UNAVAILABLE
        return block, b"{}"

    subnet = SubnetPublisher(ONE, fetch=fetch, publish=stream.publish, retry_timeout_s=0.0)
    task = asyncio.create_task(subnet.run())
    subnet.enqueue(block_of(5))
    subnet.enqueue(block_of(6))
    await stream.until(lambda: stream.numbers(snapshots_of(ONE)) == [6])
    assert subnet.skipped_snapshots == 1
    task.cancel()


async def test_the_queue_holds_no_more_blocks_than_the_stream_stores() -> None:
    stream = FakeStream()

    async def fetch(netuid: NetUid, block: Block) -> tuple[Block, bytes]:
        return block, b"{}"

    subnet = SubnetPublisher(ONE, fetch=fetch, publish=stream.publish)
    for number in range(100):
        subnet.enqueue(block_of(number))
    task = asyncio.create_task(subnet.run())
    await stream.until(lambda: stream.numbers(snapshots_of(ONE))[-1:] == [99])
    assert stream.numbers(snapshots_of(ONE)) == list(range(100 - MAX_QUEUED_BLOCKS, 100))
    assert subnet.skipped_snapshots == 100 - MAX_QUEUED_BLOCKS
    task.cancel()


async def test_while_the_chain_is_down_a_block_waits() -> None:
    chain, stream = FakeChain(5), FakeStream()
    chain.down = UNAVAILABLE
    publisher = publisher_of(chain, stream)
    publishing = asyncio.create_task(publisher.publish(BlockNumber(5), with_neurons=False))
    while chain.reads["block", 5] < 2:
        await asyncio.sleep(0.01)
    assert not publishing.done()
    chain.down = None
    await publishing
    assert stream.numbers(BLOCKS) == [5]


def test_a_block_that_the_node_lost_is_waited_for() -> None:
    async def scenario() -> None:
        chain, stream = FakeChain(4), FakeStream()
        publisher = publisher_of(chain, stream)
        publishing = asyncio.create_task(publisher.publish(BlockNumber(5), with_neurons=False))
        while chain.reads["block", 5] < 5:
            await asyncio.sleep(0.01)
        chain.head = 5
        await publishing
        assert stream.numbers(BLOCKS) == [5]

    run_stepped(scenario())


async def test_a_block_without_a_stored_state_does_not_stop_later_blocks() -> None:
    chain, stream = FakeChain(100, keeps=10), FakeStream()
    publisher = publisher_of(chain, stream)
    await publisher.publish(BlockNumber(50), with_neurons=False)
    await publisher.publish(BlockNumber(95), with_neurons=False)
    assert stream.numbers(BLOCKS) == [95]
    assert (publisher.published_blocks, publisher.skipped_blocks) == (1, 1)


async def test_a_restarted_worker_goes_on_after_the_last_block_and_fills_in_snapshots() -> None:
    chain, stream = FakeChain(60), FakeStream()
    before = publisher_of(chain, stream, ONE)
    async with running(before):
        for number in range(50, 54):
            await before.publish(BlockNumber(number), with_neurons=True)
        await stream.until(lambda: stream.numbers(snapshots_of(ONE)) == [50, 51, 52, 53])
    # Killed after these two blocks were published and before their snapshots were.
    await before.publish(BlockNumber(54), with_neurons=False)
    await before.publish(BlockNumber(55), with_neurons=False)

    stream.refusals = 2
    after = publisher_of(chain, stream, ONE, TWO)
    assert await after.resume() == 55
    async with running(after):
        await stream.until(lambda: len(stream.events) == 6 + 4 + 3)
    assert stream.numbers(snapshots_of(ONE)) == [50, 51, 52, 53, 54, 55]
    assert stream.numbers(snapshots_of(TWO)) == [55], "newly tracked: from the last block on"


async def test_with_an_empty_stream_there_is_nothing_to_go_on_after() -> None:
    assert await publisher_of(FakeChain(5), FakeStream(), ONE).resume() is None


async def test_blocks_between_queued_ones_get_no_snapshot_and_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted: list[tuple[NetUid, int]] = []

    async def unused(*_: object) -> None:
        raise AssertionError

    subnet = SubnetPublisher(
        ONE,
        fetch=unused,  # type: ignore[arg-type]
        publish=unused,
        on_skipped=lambda netuid, blocks: counted.append((netuid, blocks)),
    )
    for number in (5, 6, 40):
        subnet.enqueue(block_of(number))
    assert counted == [(ONE, 33)]
    assert subnet.skipped_snapshots == 33
    assert "no snapshots at blocks 7 to 39 (33 skipped so far)" in caplog.text


async def test_a_block_above_the_head_after_a_reorg_is_not_awaited() -> None:
    chain, stream = FakeChain(5), FakeStream()
    reader = ChainReader(chain, chain_timeout_s=30)
    skipped: list[int] = []
    publisher = BlockPublisher(
        chain,
        reader,
        stream,
        [ONE],
        chain_timeout_s=30,
        is_reorged_out=lambda number: number > chain.head,
        on_skipped=skipped.append,
    )
    assert not await publisher.publish(BlockNumber(9), with_neurons=True)
    assert await publisher.publish(BlockNumber(5), with_neurons=True)
    assert not skipped
