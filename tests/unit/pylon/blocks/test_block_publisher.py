"""Each block is published once and in order, also after outages."""

import asyncio

import pytest

from pylon.blocks.block_publisher import BlockPublisher
from pylon.events.event_types import block_event, message_id
from pylon_client.contract import json_codec
from pylon_client.contract.models import BlockInfo
from pylon_client.contract.subjects import BlockEventSubject
from pylon_client.contract.types import BlockNumber, PublisherId, Timestamp
from tests.support.chain.fake_chain import UNAVAILABLE, FakeChain, hash_of
from tests.support.product.stepped_loop import run_stepped
from tests.support.wire.fake_stream import FakeStream

BLOCKS = str(BlockEventSubject())


def publisher_of(chain: FakeChain, stream: FakeStream) -> BlockPublisher:
    return BlockPublisher(chain, stream, chain_timeout_s=30)


async def test_a_block_is_exactly_what_rest_returns_and_names_the_publishers() -> None:
    chain, stream = FakeChain(5), FakeStream()
    members = [PublisherId("0000000a"), PublisherId("0000000b")]
    publisher = BlockPublisher(chain, stream, chain_timeout_s=30, publishers=lambda: members)
    await publisher.publish(BlockNumber(5))
    info = BlockInfo(number=BlockNumber(5), hash=hash_of(5), timestamp=Timestamp(1_700_000_060))
    assert stream.events == [block_event(info, hash_of(4), members)]
    assert message_id(stream.events[0]) == f"block-{hash_of(5)}"
    assert json_codec.decode(stream.events[0].body) == {
        "number": 5,
        "hash": hash_of(5),
        "timestamp": 1_700_000_060,
    }


@pytest.mark.parametrize("lost", ["before it is stored", "after it is stored"])
async def test_while_nats_is_down_a_block_waits_and_is_stored_once(lost: str) -> None:
    chain, stream = FakeChain(6), FakeStream()
    publisher = publisher_of(chain, stream)
    if lost == "before it is stored":
        stream.refusals = 3
    else:
        stream.unanswered = 3
    await publisher.publish(BlockNumber(5))
    await publisher.publish(BlockNumber(6))
    assert stream.numbers(BLOCKS) == [5, 6]


async def test_while_the_chain_is_down_a_block_waits() -> None:
    chain, stream = FakeChain(5), FakeStream()
    chain.down = UNAVAILABLE
    publisher = publisher_of(chain, stream)
    publishing = asyncio.create_task(publisher.publish(BlockNumber(5)))
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
        publishing = asyncio.create_task(publisher.publish(BlockNumber(5)))
        while chain.reads["block", 5] < 5:
            await asyncio.sleep(0.01)
        chain.head = 5
        await publishing
        assert stream.numbers(BLOCKS) == [5]

    run_stepped(scenario())


async def test_a_block_without_a_stored_state_does_not_stop_later_blocks() -> None:
    chain, stream = FakeChain(100, keeps=10), FakeStream()
    publisher = publisher_of(chain, stream)
    await publisher.publish(BlockNumber(50))
    await publisher.publish(BlockNumber(95))
    assert stream.numbers(BLOCKS) == [95]
    assert (publisher.published_blocks, publisher.skipped_blocks) == (1, 1)


async def test_a_restarted_worker_continues_after_the_last_stored_block() -> None:
    chain, stream = FakeChain(60), FakeStream()
    await publisher_of(chain, stream).publish(BlockNumber(54))
    stream.refusals = 2
    assert await publisher_of(chain, stream).resume() == 54


async def test_with_an_empty_stream_there_is_nothing_to_go_on_after() -> None:
    assert await publisher_of(FakeChain(5), FakeStream()).resume() is None


async def test_a_block_above_the_head_after_a_reorg_is_not_awaited() -> None:
    chain, stream = FakeChain(5), FakeStream()
    skipped: list[int] = []
    publisher = BlockPublisher(
        chain,
        stream,
        chain_timeout_s=30,
        is_reorged_out=lambda number: number > chain.head,
        on_skipped=skipped.append,
    )
    assert not await publisher.publish(BlockNumber(9))
    assert await publisher.publish(BlockNumber(5))
    assert not skipped
