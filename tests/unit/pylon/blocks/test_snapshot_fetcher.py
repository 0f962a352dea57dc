"""Reads of the neurons to publish."""

import asyncio

import pytest

from pylon.blocks.snapshot_fetcher import MAX_CONCURRENT_FETCHES, SnapshotFetcher
from pylon.chain.chain_reader import ChainReader
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber, NetUid
from tests.support.chain.fake_chain import FakeChain, block_of, hash_of
from tests.support.product.eventually import eventually

ONE = NetUid(1)


def fetcher_of(chain: FakeChain) -> SnapshotFetcher:
    return SnapshotFetcher(ChainReader(chain, chain_timeout_s=30))


async def test_a_block_removed_by_a_reorg_is_read_at_its_replacement() -> None:
    chain = FakeChain(6)
    chain.fork = 1
    block, body = await fetcher_of(chain).fetch(ONE, block_of(5))
    assert block == block_of(5, fork=1)
    assert json_codec.decode(body)["block"]["hash"] == hash_of(5, fork=1)


async def test_a_missing_subnet_is_reported() -> None:
    chain = FakeChain(6)
    chain.failing_netuids[ONE] = FailureError(ErrorCode.NOT_FOUND, "Subnet 1 not found.")
    with pytest.raises(FailureError, match="Subnet 1 not found"):
        await fetcher_of(chain).fetch(ONE, block_of(5))
    assert chain.reads["neurons", ONE, 5] == 1


async def test_a_block_is_found_by_its_number() -> None:
    assert await fetcher_of(FakeChain(6)).block(BlockNumber(5)) == block_of(5)


async def test_few_reads_run_at_a_time_and_start_in_the_order_of_the_calls() -> None:
    chain = FakeChain(6)
    chain.gate.clear()
    fetcher = fetcher_of(chain)
    calls = [
        asyncio.create_task(fetcher.fetch(NetUid(netuid), block_of(5)))
        for netuid in range(2 * MAX_CONCURRENT_FETCHES)
    ]
    await eventually(lambda: len(chain.reads) == MAX_CONCURRENT_FETCHES)
    first = [("neurons", NetUid(netuid), 5) for netuid in range(MAX_CONCURRENT_FETCHES)]
    assert list(chain.reads) == first
    chain.gate.set()
    await asyncio.gather(*calls)
    assert len(chain.reads) == 2 * MAX_CONCURRENT_FETCHES
