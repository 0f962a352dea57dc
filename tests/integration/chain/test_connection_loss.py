"""Reads and heads over connections that are silent, break or are refused."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from contextlib import (
    aclosing,
)
from typing import Any

import pytest
from bittensor._transport import errors as transport

from pylon.chain.node_connection import ConnectionTimeouts
from pylon.chain.queries.neuron_queries import Neurons
from pylon.chain.substrate import Substrate
from pylon.chain.subtensor_reader import SubtensorReader
from pylon.chain.subtensor_writer import SubtensorWriter
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_devnet import Devnet, DevnetOptions
from tests.support.chain.subtensor import (
    LONG_S,
    devnet_with,
    failure_of,
    neurons_of,
    proxied,
    subtensor_at,
)
from tests.support.product.eventually import eventually


async def test_a_node_without_a_response_is_a_timeout_and_releases_the_limit() -> None:
    patience = ConnectionTimeouts(max_in_flight=2)
    async with devnet_with() as devnet, subtensor_at(devnet.url, patience) as chain:
        await chain.latest_block(timeout_s=LONG_S)
        devnet.go_silent()
        failures = await asyncio.gather(
            *(failure_of(chain.latest_block(timeout_s=1.5)) for _ in range(4))
        )
        assert {failure.code for failure in failures} == {ErrorCode.CHAIN_TIMEOUT}
        devnet.speak()
        assert await eventually_reads(chain) == 10


async def eventually_reads(chain: SubtensorReader) -> int:
    """The latest number, as soon as the chain can be read again by the same object."""
    async with asyncio.timeout(LONG_S):
        while True:
            try:
                return (await chain.latest_block(timeout_s=5)).number
            except FailureError:
                await asyncio.sleep(0.05)


async def test_a_silent_connection_is_discarded_and_closed() -> None:
    async with (
        devnet_with() as devnet,
        proxied(devnet) as (proxy, url),
        subtensor_at(url) as chain,
    ):
        await chain.latest_block(timeout_s=LONG_S)
        proxy.mute = True
        failure = await failure_of(chain.latest_block(timeout_s=1.5))
        assert failure.code is ErrorCode.CHAIN_TIMEOUT
        proxy.mute = False
        assert await eventually_reads(chain) == 10
        assert proxy.accepted >= 2, "the muted connection is not used again"
        await eventually(lambda: proxy.open == 1)


async def test_a_cancelled_connect_leaves_nothing_open() -> None:
    async with (
        devnet_with() as devnet,
        proxied(devnet) as (proxy, url),
        subtensor_at(url, ConnectionTimeouts(connect_s=1.0, backoff_s=0.0)) as chain,
    ):
        devnet.go_silent()  # takes the connection, and says nothing
        for _ in range(3):
            await failure_of(chain.latest_block(timeout_s=LONG_S))
        assert proxy.accepted == 3
        await eventually(lambda: proxy.open == 0)
        await eventually(lambda: not sdk_tasks())
        devnet.speak()
        assert await eventually_reads(chain) == 10
    await eventually(lambda: not sdk_tasks())


async def test_the_exception_of_an_idle_connection_whose_node_ended_is_retrieved(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with devnet_with() as devnet:
        chain, writes = SubtensorReader(devnet.url), SubtensorWriter(devnet.url)
        await chain.latest_block(timeout_s=LONG_S)
        await writes.tip()
    await eventually(lambda: not sdk_tasks())  # the SDK has dialled once more, in vain
    for asked in (chain.latest_block(timeout_s=LONG_S), writes.tip()):
        assert (await failure_of(asked)).code is ErrorCode.CHAIN_UNAVAILABLE
    await chain.close()
    await writes.close()
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_a_closed_connection_is_not_opened_again() -> None:
    """The SDK opens one to end a subscription."""
    async with devnet_with() as devnet, proxied(devnet) as (proxy, url):
        sdk = Substrate(url)
        await sdk.connect()
        await sdk.close()
        with pytest.raises(transport.MaxRetriesExceeded):
            await sdk._connections[0].rpc_request("chain_getHead")
        assert proxy.accepted == 1
        await eventually(lambda: not sdk_tasks())


def sdk_tasks() -> list[str]:
    """The SDK's tasks, each of which holds or dials a connection."""
    return [task.get_name() for task in asyncio.all_tasks() if "rpc" in task.get_name()]


async def test_a_connection_that_breaks_during_reads_is_replaced() -> None:
    async with (
        devnet_with(60) as devnet,
        proxied(devnet) as (proxy, url),
        subtensor_at(url) as chain,
    ):
        block = await chain.latest_block(timeout_s=LONG_S)
        reads = [
            asyncio.create_task(chain.query(Neurons(NetUid(1)), block, timeout_s=LONG_S))
            for _ in range(20)
        ]
        await asyncio.sleep(0)
        proxy.drop()
        results = await asyncio.gather(*reads)
        assert {len(neurons_of(result)) for result in results} == {256}
        await eventually(lambda: proxy.open == 1)


async def test_a_read_after_an_idle_disconnect_succeeds() -> None:
    async with devnet_with() as devnet, subtensor_at(devnet.url) as chain:
        for _ in range(5):
            assert (await chain.latest_block(timeout_s=LONG_S)).number == 10
            devnet.drop_connections()


async def test_heads_end_when_the_subscription_is_silent() -> None:
    async with devnet_with() as devnet, subtensor_at(devnet.url) as chain:
        async with aclosing(chain.subscribe_heads(silence_s=LONG_S)) as heads:
            announced = asyncio.create_task(anext(heads))
            await eventually(lambda: "chain_subscribeNewHeads" in devnet.request_counts())
            await devnet.advance(1)
            assert await announced in {10, 11}
        async with aclosing(chain.subscribe_heads(silence_s=0.3)) as heads:
            failure = await failure_of(drain(heads))
        assert failure.code is ErrorCode.CHAIN_TIMEOUT
        assert await eventually_reads(chain) == 11


async def drain(heads: AsyncGenerator[BlockNumber]) -> None:
    async for _ in heads:
        pass


async def test_heads_end_when_the_connection_breaks_and_can_be_subscribed_again() -> None:
    async with (
        Devnet(DevnetOptions(port=0, block_time_s=0.1)) as devnet,
        subtensor_at(devnet.url) as chain,
    ):
        async with aclosing(chain.subscribe_heads(silence_s=LONG_S)) as heads:
            await anext(heads)
            devnet.drop_connections()
            assert (await failure_of(drain(heads))).code is ErrorCode.CHAIN_UNAVAILABLE
        async with aclosing(chain.subscribe_heads(silence_s=LONG_S)) as heads:
            first = await anext(heads)
            assert await anext(heads) > first


async def test_an_unreachable_node_fails_fast_with_few_connects() -> None:
    async with devnet_with() as devnet, proxied(devnet) as (proxy, url):
        async with subtensor_at(url, ConnectionTimeouts(backoff_s=600, max_backoff_s=600)) as chain:
            await chain.latest_block(timeout_s=LONG_S)
            await devnet.stop()
            proxy.drop()
            for _ in range(20):
                failure = await failure_of(chain.latest_block(timeout_s=LONG_S))
                assert failure.code is ErrorCode.CHAIN_UNAVAILABLE
                assert str(proxy.port) not in failure.failure.detail
        assert proxy.accepted <= 4


async def test_a_handshake_refused_with_429_is_not_retried_at_once() -> None:
    async with devnet_with() as devnet, subtensor_at(devnet.url) as chain:
        devnet.faults.handshakes_to_reject = 100
        for _ in range(20):
            failure = await failure_of(chain.latest_block(timeout_s=LONG_S))
            assert failure.code is ErrorCode.CHAIN_UNAVAILABLE
            assert "refuses" in failure.failure.detail
        assert devnet.faults.handshakes_to_reject == 99


async def test_callers_cancelled_in_flight_do_not_affect_later_reads() -> None:
    async with (
        devnet_with(60) as devnet,
        proxied(devnet) as (proxy, url),
        subtensor_at(url) as chain,
    ):
        # The first reads of all, so that connecting and the metadata are cancelled as well.
        for turns in range(12):
            reads = [
                asyncio.create_task(chain.block(BlockNumber(number), timeout_s=LONG_S))
                for number in range(10)
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            for read in reads[::2]:
                read.cancel()
            results: list[Any] = await asyncio.gather(*reads, return_exceptions=True)
            assert [result.number for result in results[1::2]] == [1, 3, 5, 7, 9]
        block = await chain.latest_block(timeout_s=LONG_S)
        body = await chain.query(Neurons(NetUid(1)), block, timeout_s=LONG_S)
        assert len(neurons_of(body)) == 256
        assert proxy.accepted == 1


async def test_a_restarted_node_is_read_again() -> None:
    async with devnet_with() as devnet, subtensor_at(devnet.url) as chain:
        await chain.latest_block(timeout_s=LONG_S)
        devnet.refuse_connections(0.5)
        devnet.drop_connections()
        assert await eventually_reads(chain) == 10
        assert chain.connections_opened >= 2
