"""Streams of both clients over both transports, against `pylon up --devnet` and broken often."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from itertools import islice

import pytest
import pytest_asyncio

from pylon_client.v1 import (
    AsyncConfig,
    AsyncPylonClient,
    BlockNumber,
    Config,
    NetUid,
    PylonClient,
    PylonNotFound,
)
from tests.support.eventually import HANGS_AFTER_S
from tests.support.product import Product
from tests.support.tcp_proxy import TcpProxy

NEURONS_OF_SN2 = 16
VALUES = 24
BREAK_EVERY = 5


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Product]:
    async with Product(tmp_path_factory.mktemp("product"), block_time_s=0.25) as product:
        yield product


async def blocks_through(proxy: TcpProxy, scheme: str) -> list[int]:
    """The numbers of the blocks that come while the connection is broken again and again."""
    config = AsyncConfig(address=f"{scheme}://127.0.0.1:{proxy.port}")
    numbers: list[int] = []
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
    return numbers


async def snapshots_through(proxy: TcpProxy, scheme: str) -> list[int]:
    config = AsyncConfig(address=f"{scheme}://127.0.0.1:{proxy.port}")
    numbers: list[int] = []
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
    return numbers


def blocks_in_a_thread(address: str) -> list[int]:
    with (
        PylonClient(Config(address=address)) as client,
        closing(client.open_access.blocks()) as blocks,
    ):
        return [block.number for block in islice(blocks, VALUES)]


async def test_every_block_comes_once_and_in_order_through_breaks(product: Product) -> None:
    async with (
        TcpProxy(product.port) as blocks_http,
        TcpProxy(product.nats_port) as blocks_nats,
        TcpProxy(product.port) as snapshots_http,
        TcpProxy(product.nats_port) as snapshots_nats,
        asyncio.timeout(HANGS_AFTER_S),
    ):
        followed = await asyncio.gather(
            blocks_through(blocks_http, "http"),
            blocks_through(blocks_nats, "nats"),
            snapshots_through(snapshots_http, "http"),
            snapshots_through(snapshots_nats, "nats"),
            asyncio.to_thread(blocks_in_a_thread, product.url),
            asyncio.to_thread(blocks_in_a_thread, product.nats_url),
        )
    for numbers in followed:
        assert numbers == list(range(numbers[0], numbers[0] + VALUES))


async def test_a_stream_resumes_where_a_program_left_off(product: Product) -> None:
    """A program that ended comes back with the number that it has, and is told of no other."""
    for address in (product.url, product.nats_url):
        seen: list[int] = []
        async with asyncio.timeout(HANGS_AFTER_S):
            for _ in range(3):
                async with AsyncPylonClient(AsyncConfig(address=address)) as client:
                    after = BlockNumber(seen[-1]) if seen else None
                    async with aclosing(client.open_access.blocks(after=after)) as blocks:
                        seen += [(await anext(blocks)).number for _ in range(3)]
                    await client.open_access.get_neurons(NetUid(2), BlockNumber(seen[-1]))
        assert seen == list(range(seen[0], seen[0] + 9))


async def test_a_subnet_that_is_not_tracked_has_no_stream(product: Product) -> None:
    for address in (product.url, product.nats_url):
        async with AsyncPylonClient(AsyncConfig(address=address)) as client:
            with pytest.raises(PylonNotFound):
                await anext(client.open_access.neuron_snapshots(NetUid(999)))


async def test_a_bridge_that_is_killed_is_followed_again_when_it_is_back(product: Product) -> None:
    async with (
        AsyncPylonClient(AsyncConfig(address=product.url)) as client,
        aclosing(client.open_access.blocks()) as blocks,
        asyncio.timeout(HANGS_AFTER_S),
    ):
        numbers = [(await anext(blocks)).number for _ in range(2)]
        os.kill(product.child("-m bridge"), signal.SIGKILL)
        numbers += [(await anext(blocks)).number for _ in range(8)]
    assert numbers == list(range(numbers[0], numbers[0] + 10)), product.output
