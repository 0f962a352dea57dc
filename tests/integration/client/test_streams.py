"""Streams of both clients over both transports, against `pylon up --devnet` and broken often."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, closing
from itertools import islice

import pytest
import pytest_asyncio

from pylon_client.v1 import (
    AsyncConfig,
    AsyncPylonClient,
    BlockInfo,
    BlockNumber,
    Config,
    NetUid,
    PylonClient,
    PylonNotFound,
)
from tests.support.chain.devnet_control import ON_DEMAND_S, ON_DEMAND_SETTINGS
from tests.support.nats.tcp_proxy import TcpProxy
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.product import Product

NEURONS_OF_SN2 = 16
VALUES = 24
BREAK_EVERY = 5


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Product]:
    folder = tmp_path_factory.mktemp("product")
    async with Product(folder, ON_DEMAND_S, settings=ON_DEMAND_SETTINGS) as product:
        yield product


async def blocks_through(proxy: TcpProxy, scheme: str, numbers: list[int]) -> None:
    """Add the numbers of the blocks that come while the connection is broken again and again."""
    config = AsyncConfig(address=f"{scheme}://127.0.0.1:{proxy.port}")
    async with (
        AsyncPylonClient(config) as client,
        aclosing(client.open_access.blocks()) as blocks,
    ):
        async for block in blocks:
            numbers.append(block.number)
            if len(numbers) == VALUES:
                break
            if len(numbers) % BREAK_EVERY == 0:
                proxy.drop()
    assert proxy.accepted > VALUES // BREAK_EVERY


async def snapshots_through(proxy: TcpProxy, scheme: str, numbers: list[int]) -> None:
    config = AsyncConfig(address=f"{scheme}://127.0.0.1:{proxy.port}")
    async with (
        AsyncPylonClient(config) as client,
        aclosing(client.open_access.neuron_snapshots(NetUid(2))) as snapshots,
    ):
        async for snapshot in snapshots:
            assert len(snapshot.neurons) == NEURONS_OF_SN2
            numbers.append(snapshot.block.number)
            if len(numbers) == VALUES:
                break
            if len(numbers) % BREAK_EVERY == 0:
                proxy.drop()


def blocks_in_a_thread(address: str, numbers: list[int]) -> None:
    with (
        PylonClient(Config(address=address)) as client,
        closing(client.open_access.blocks()) as blocks,
    ):
        for block in islice(blocks, VALUES):
            numbers.append(block.number)  # noqa: PERF401 -- keep_pace watches it grow


async def test_every_block_arrives_once_and_in_order_despite_breaks(product: Product) -> None:
    async with (
        TcpProxy(product.port) as blocks_http,
        TcpProxy(product.nats_port) as blocks_nats,
        TcpProxy(product.port) as snapshots_http,
        TcpProxy(product.nats_port) as snapshots_nats,
        asyncio.timeout(HANGS_AFTER_S),
    ):
        followers: list[list[int]] = [[] for _ in range(6)]
        await asyncio.gather(
            blocks_through(blocks_http, "http", followers[0]),
            blocks_through(blocks_nats, "nats", followers[1]),
            snapshots_through(snapshots_http, "http", followers[2]),
            snapshots_through(snapshots_nats, "nats", followers[3]),
            asyncio.to_thread(blocks_in_a_thread, product.url, followers[4]),
            asyncio.to_thread(blocks_in_a_thread, product.nats_url, followers[5]),
            product.devnet.keep_pace(followers, VALUES),
        )
    for numbers in followers:
        assert numbers == list(range(numbers[0], numbers[0] + VALUES))


async def number_of_next(blocks: AsyncIterator[BlockInfo]) -> int:
    return (await anext(blocks)).number


async def test_a_restarted_program_resumes_its_stream(product: Product) -> None:
    """A program that ended resumes with its last number, and gets no other."""
    for address in (product.url, product.nats_url):
        seen: list[int] = []
        async with asyncio.timeout(HANGS_AFTER_S):
            for _ in range(3):
                async with AsyncPylonClient(AsyncConfig(address=address)) as client:
                    after = BlockNumber(seen[-1]) if seen else None
                    async with aclosing(client.open_access.blocks(after=after)) as blocks:
                        seen += [await number_of_next(blocks)]
                        await product.devnet.advance(4)
                        seen += [await number_of_next(blocks) for _ in range(2)]
                    await client.open_access.get_neurons(NetUid(2), BlockNumber(seen[-1]))
        assert seen == list(range(seen[0], seen[0] + 9))


async def test_an_untracked_subnet_has_no_stream(product: Product) -> None:
    for address in (product.url, product.nats_url):
        async with AsyncPylonClient(AsyncConfig(address=address)) as client:
            with pytest.raises(PylonNotFound):
                await anext(client.open_access.neuron_snapshots(NetUid(999)))


async def test_a_stream_resumes_after_the_bridge_was_killed(product: Product) -> None:
    async with (
        AsyncPylonClient(AsyncConfig(address=product.url)) as client,
        aclosing(client.open_access.blocks()) as blocks,
        asyncio.timeout(HANGS_AFTER_S),
    ):
        numbers = [await number_of_next(blocks)]
        os.kill(product.child("-m bridge"), signal.SIGKILL)
        await product.devnet.advance(8)
        numbers += [await number_of_next(blocks) for _ in range(8)]
    assert numbers == list(range(numbers[0], numbers[0] + 9)), product.output
