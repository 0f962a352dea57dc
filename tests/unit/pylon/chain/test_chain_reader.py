"""Shared and cached reads of the chain."""

import asyncio

import pytest

from pylon.chain.chain_reader import ChainReader
from pylon.chain.queries.neuron_queries import Neurons
from pylon_client.contract.types import BlockNumber, NetUid
from tests.support.chain.fake_chain import FakeChain, block_of

QUERY = Neurons(NetUid(1))


async def test_concurrent_reads_share_one_request() -> None:
    chain = FakeChain(100)
    reader = ChainReader(chain, chain_timeout_s=30)
    blocks = await asyncio.gather(*(reader.latest_block() for _ in range(10)))
    assert set(map(str, blocks)) == {str(block_of(100))}
    assert chain.reads["latest"] == 1


async def test_a_query_is_cached_by_the_hash_of_its_block() -> None:
    chain = FakeChain(100)
    reader = ChainReader(chain, chain_timeout_s=30)
    first = await reader.query(QUERY, block_of(100))
    assert await reader.query(QUERY, block_of(100)) == first
    assert chain.reads["neurons", NetUid(1), 100] == 1
    chain.fork = 1
    await reader.query(QUERY, block_of(100, 1))
    assert chain.reads["neurons", NetUid(1), 100] == 2


async def test_a_block_by_number_is_not_cached() -> None:
    chain = FakeChain(100)
    reader = ChainReader(chain, chain_timeout_s=30)
    before = await reader.block(BlockNumber(50))
    chain.fork = 1
    assert (await reader.block(BlockNumber(50))).hash != before.hash


async def test_a_caller_that_leaves_does_not_end_the_read_of_the_others() -> None:
    chain = FakeChain(100)
    chain.gate.clear()
    reader = ChainReader(chain, chain_timeout_s=30)
    patient = asyncio.create_task(reader.query(QUERY, block_of(100)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await reader.query(QUERY, block_of(100))
    chain.gate.set()
    assert await patient
    assert chain.reads["neurons", NetUid(1), 100] == 1


async def test_the_latest_block_is_returned_with_its_encoded_info() -> None:
    block, body = await ChainReader(FakeChain(100), chain_timeout_s=30).latest_block_info()
    assert block == block_of(100)
    assert b'"timestamp"' in body
