"""Shared and cached reads of the chain."""

import asyncio

import pytest

from pylon.chain.chain_reader import ChainReader
from pylon.chain.queries.neuron_queries import Neurons
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber, NetUid
from tests.support.chain.fake_chain import FakeChain, block_of

QUERY = Neurons(NetUid(1))


async def test_concurrent_reads_share_one_request() -> None:
    chain = FakeChain(100)
    reader = ChainReader(chain, chain_timeout_s=30)
    blocks = await asyncio.gather(*(reader.latest_block(timeout_s=5) for _ in range(10)))
    assert set(map(str, blocks)) == {str(block_of(100))}
    assert chain.reads["latest"] == 1


async def test_a_query_is_cached_by_the_hash_of_its_block() -> None:
    chain = FakeChain(100)
    reader = ChainReader(chain, chain_timeout_s=30)
    first = await reader.query(QUERY, block_of(100), timeout_s=5)
    assert await reader.query(QUERY, block_of(100), timeout_s=5) == first
    assert chain.reads["neurons", NetUid(1), 100] == 1
    chain.fork = 1
    await reader.query(QUERY, block_of(100, 1), timeout_s=5)
    assert chain.reads["neurons", NetUid(1), 100] == 2


async def test_a_block_by_number_is_not_cached() -> None:
    chain = FakeChain(100)
    reader = ChainReader(chain, chain_timeout_s=30)
    before = await reader.block(BlockNumber(50), timeout_s=5)
    chain.fork = 1
    assert (await reader.block(BlockNumber(50), timeout_s=5)).hash != before.hash


async def test_a_caller_waits_at_most_for_its_timeout() -> None:
    chain = FakeChain(100)
    chain.gate.clear()
    reader = ChainReader(chain, chain_timeout_s=30)
    with pytest.raises(FailureError, match=r"within 0\.01 s") as caught:
        await reader.query(QUERY, block_of(100), timeout_s=0.01)
    assert caught.value.code is ErrorCode.CHAIN_TIMEOUT


async def test_the_latest_block_is_returned_with_its_encoded_info() -> None:
    block, body = await ChainReader(FakeChain(100), chain_timeout_s=30).latest_block_info(
        timeout_s=5
    )
    assert block == block_of(100)
    assert b'"timestamp"' in body
