"""The chain through the real SDK over a real WebSocket, with faults of node and network."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import (
    AbstractContextManager,
    aclosing,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from itertools import pairwise
from typing import Any

import bittensor
import pytest

from pylon.chain.archive_routing import RoutedChain
from pylon.chain.head_reads import require_block_hash
from pylon.chain.queries.neuron_queries import Neurons
from pylon.chain.substrate import Substrate
from pylon.chain.subtensor_reader import SubtensorReader
from pylon.chain.subtensor_writer import SubtensorWriter
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.models import Block, SubnetNeurons
from pylon_client.contract.types import BlockHash, BlockNumber, NetUid
from pylon_devnet import Devnet, DevnetOptions
from tests.support.chain.reference_neurons import reference_neurons
from tests.support.chain.subtensor import (
    LONG_S,
    devnet_with,
    failure_of,
    neurons_of,
    proxied,
    subtensor_at,
)

ONE = NetUid(1)
NEURON_ANSWERS = (
    ("NeuronInfoRuntimeApi", "get_neurons_lite"),
    ("SubnetInfoRuntimeApi", "get_subnet_state"),
)
NEURONS_CALL = "state_call:NeuronInfoRuntimeApi_get_neurons_lite"
STATE_CALL = "state_call:SubnetInfoRuntimeApi_get_subnet_state"


async def test_the_neurons_are_those_that_the_sdk_itself_reads() -> None:
    async with devnet_with(40) as devnet, subtensor_at(devnet.url) as chain:
        block = await chain.latest_block(timeout_s=LONG_S)
        result = await chain.query(Neurons(ONE), block, timeout_s=LONG_S)
        async with bittensor.Client(
            devnet.url, fallback_endpoints=[], archive_endpoints=[]
        ) as client:
            theirs = await (await client.at(block.number)).subnets.metagraph(ONE)
    ours = neurons_of(result)
    assert len(ours) == 256
    assert [neuron.uid for neuron in ours] == list(range(256))
    for mine, their in zip(ours, theirs.neurons, strict=True):
        assert (mine.hotkey, mine.coldkey) == (their.hotkey, their.coldkey)
        assert (mine.active, mine.validator_permit) == (their.active, their.validator_permit)
        assert mine.last_update == their.last_update
        assert mine.incentive == pytest.approx(their.incentive)
        assert mine.dividends == pytest.approx(their.dividends)
        assert mine.emission == pytest.approx(their.emission.rao / 1e9)
        assert mine.stakes.total == pytest.approx(their.total_stake.rao / 1e9)
        assert mine.axon_info.is_serving is (their.axon is not None)
    assert any(neuron.axon_info.ip.version == 6 for neuron in ours)
    assert any(neuron.stakes.alpha > 0 for neuron in ours)


async def test_a_subnets_neurons_cost_one_call_of_each_runtime_api() -> None:
    async with devnet_with() as devnet, subtensor_at(devnet.url) as chain:
        block = await chain.latest_block(timeout_s=LONG_S)
        devnet.clear_requests()
        await chain.query(Neurons(ONE), block, timeout_s=LONG_S)
        calls = [record for record in devnet.requests() if record.method.startswith("state_call")]
    assert sorted(call.method for call in calls) == [NEURONS_CALL, STATE_CALL]
    assert {call.block_hash for call in calls} == {block.hash}


async def test_a_past_block_reads_as_it_was() -> None:
    async with devnet_with() as devnet, subtensor_at(devnet.url) as chain:
        block = await chain.latest_block(timeout_s=LONG_S)
        before = await chain.query(Neurons(ONE), block, timeout_s=LONG_S)
        made = await chain.timestamp(block, timeout_s=LONG_S)
        await devnet.advance(20)
        newest = await chain.latest_block(timeout_s=LONG_S)
        assert newest.number == block.number + 20
        assert await chain.block(block.number, timeout_s=LONG_S) == block
        assert await chain.query(Neurons(ONE), block, timeout_s=LONG_S) == before
        assert await chain.timestamp(block, timeout_s=LONG_S) == made
        after = await chain.query(Neurons(ONE), newest, timeout_s=LONG_S)
        assert neurons_of(after) != neurons_of(before)


async def test_number_and_hash_of_the_latest_block_belong_together() -> None:
    async with (
        Devnet(DevnetOptions(port=0, block_time_s=0.05)) as devnet,
        subtensor_at(devnet.url) as chain,
    ):
        seen = [await chain.latest_block(timeout_s=LONG_S)]
        while len({block.number for block in seen}) < 10:
            seen.append(await chain.latest_block(timeout_s=LONG_S))
        for block in set(seen):
            assert await chain.block(block.number, timeout_s=LONG_S) == block
        assert all(older.number <= newer.number for older, newer in pairwise(seen))


async def test_a_missing_item_is_not_found() -> None:
    async with devnet_with() as devnet, subtensor_at(devnet.url) as chain:
        block = await chain.latest_block(timeout_s=LONG_S)
        absent = await failure_of(chain.query(Neurons(NetUid(777)), block, timeout_s=LONG_S))
        future = await failure_of(chain.block(BlockNumber(99_999), timeout_s=LONG_S))
        unknown = Block(number=BlockNumber(3), hash=BlockHash("0x" + "ab" * 32))
        forked = await failure_of(chain.query(Neurons(ONE), unknown, timeout_s=LONG_S))
        assert chain.connections_opened == 1, "a response does not cause a reconnect"
    assert (absent.code, absent.failure.detail) == (ErrorCode.NOT_FOUND, "Subnet 777 not found.")
    assert (future.code, future.failure.detail) == (ErrorCode.NOT_FOUND, "Block 99999 not found.")
    assert (forked.code, forked.failure.detail) == (ErrorCode.NOT_FOUND, "Block 3 not found.")


async def test_each_read_is_instrumented_with_its_name_and_netuid() -> None:
    seen: list[tuple[str, str]] = []

    def instrument(operation: str, netuid: str) -> AbstractContextManager[object]:
        seen.append((operation, netuid))
        return nullcontext()

    async with devnet_with() as devnet, subtensor_at(devnet.url, instrument=instrument) as chain:
        latest = await chain.latest_block(timeout_s=LONG_S)
        block = await chain.block(latest.number, timeout_s=LONG_S)
        await chain.timestamp(block, timeout_s=LONG_S)
        await chain.query(Neurons(ONE), block, timeout_s=LONG_S)
    assert seen == [
        ("latest_block", ""),
        ("block", ""),
        ("timestamp", ""),
        (Neurons(ONE).name, "1"),
    ]


async def test_an_error_of_a_read_passes_through_its_instrument() -> None:
    seen: list[tuple[str, str, Exception]] = []

    @contextmanager
    def instrument(operation: str, netuid: str) -> Generator[None]:
        try:
            yield
        except Exception as error:
            seen.append((operation, netuid, error))
            raise

    async with devnet_with() as devnet, subtensor_at(devnet.url, instrument=instrument) as chain:
        failure = await failure_of(chain.block(BlockNumber(10**6), timeout_s=LONG_S))
    assert failure.code is ErrorCode.NOT_FOUND
    assert seen == [("block", "", failure)]


async def test_all_reads_share_one_websocket() -> None:
    async with (
        devnet_with(60) as devnet,
        proxied(devnet) as (proxy, url),
        subtensor_at(url) as chain,
    ):
        blocks = await asyncio.gather(
            *(chain.block(BlockNumber(number), timeout_s=LONG_S) for number in range(10, 60))
        )
        results: list[Any] = await asyncio.gather(
            *(chain.query(Neurons(NetUid(2)), block, timeout_s=LONG_S) for block in blocks),
            chain.latest_block(timeout_s=LONG_S),
        )
        bodies: list[Any] = results[:-1]
        assert [SubnetNeurons.model_validate_json(body).block for body in bodies] == blocks
        assert proxy.accepted == 1


FALSE_HEADERS = [-1, 2**32, 2**64, "f" * 4_000, "0x" + "f" * 4_000, "not a number", None, 7.5, [1]]


@pytest.mark.parametrize("number", FALSE_HEADERS)
async def test_an_invalid_header_is_a_fault_of_the_node_and_requested_again(number: Any) -> None:
    async with devnet_with() as devnet:
        writes = SubtensorWriter(devnet.url)
        truth = await writes.tip()
        devnet.falsify_headers(number, times=1)
        assert await writes.tip() == truth
        devnet.falsify_headers(number, times=1_000)
        assert (await failure_of(writes.tip())).code is ErrorCode.CHAIN_UNAVAILABLE
        devnet.falsify_headers(number, times=0)
        assert await writes.tip() == truth
        assert writes.connections_opened == 1
        await writes.close()


@pytest.mark.parametrize("number", [0, 3, 500, 2**32 - 1])
async def test_a_false_final_block_ends_no_extrinsics_era(number: int) -> None:
    async with devnet_with() as devnet:
        writes = SubtensorWriter(devnet.url)
        devnet.falsify_headers(number, times=1_000)
        assert (await failure_of(writes.tip())).code is ErrorCode.CHAIN_UNAVAILABLE
        await writes.close()


@pytest.mark.parametrize("number", [*FALSE_HEADERS, 2**32 - 1, 0])
async def test_a_false_announcement_does_not_end_the_subscription(number: Any) -> None:
    async with devnet_with() as devnet, subtensor_at(devnet.url) as chain:
        async with aclosing(chain.subscribe_heads(silence_s=LONG_S)) as heads:
            assert await anext(heads) == 10
            devnet.announce_head(number)
            following = asyncio.ensure_future(anext(heads))
            await devnet.advance(1)
            seen = await following
            while seen != 11:
                assert seen in {number, 10}
                seen = await anext(heads)
        assert chain.connections_opened == 1


async def test_heads_are_yielded_as_announced() -> None:
    async with (
        Devnet(DevnetOptions(port=0, block_time_s=0.1)) as devnet,
        subtensor_at(devnet.url) as chain,
        aclosing(chain.subscribe_heads(silence_s=LONG_S)) as heads,
    ):
        numbers = [await anext(heads) for _ in range(5)]
    assert numbers == list(range(numbers[0], numbers[0] + 5))


@asynccontextmanager
async def main_and_archive() -> AsyncGenerator[tuple[Devnet, Devnet]]:
    """Two nodes of one chain at block 40, of which the first keeps the last 10 states."""
    same = {"genesis_time_ms": 1_750_000_000_000, "seed": 7}
    async with devnet_with(40, **same) as main, devnet_with(40, **same) as archive:
        main.prune(10)
        yield main, archive


async def test_blocks_are_read_from_the_node_with_their_state() -> None:
    async with (
        main_and_archive() as (main, archive),
        subtensor_at(main.url) as main_chain,
        subtensor_at(archive.url) as archive_chain,
    ):
        chain = RoutedChain(main_chain, archive_chain, cutoff_blocks=20)
        for number, by_main, by_archive in ((39, 1, 0), (25, 1, 1), (15, 0, 1)):
            block = await archive_chain.block(BlockNumber(number), timeout_s=LONG_S)
            expected = await archive_chain.query(Neurons(ONE), block, timeout_s=LONG_S)
            main.clear_requests()
            archive.clear_requests()
            assert await chain.query(Neurons(ONE), block, timeout_s=LONG_S) == expected
            assert main.request_counts().get(NEURONS_CALL, 0) == by_main, number
            assert archive.request_counts().get(NEURONS_CALL, 0) == by_archive, number
            if not by_main:
                assert all(record.block_hash != block.hash for record in main.requests())


async def test_without_an_archive_the_error_names_the_missing_setting() -> None:
    async with main_and_archive() as (main, _), subtensor_at(main.url) as main_chain:
        chain = RoutedChain(main_chain, None, cutoff_blocks=20)
        for number in (25, 15):
            block = await main_chain.block(BlockNumber(number), timeout_s=LONG_S)
            failure = await failure_of(chain.query(Neurons(ONE), block, timeout_s=LONG_S))
            assert failure.code is ErrorCode.ARCHIVE_REQUIRED
            assert "PYLON_BITTENSOR_ARCHIVE_NETWORK" in failure.failure.detail
        assert main_chain.connections_opened == 1


def test_an_invalid_network_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="unknown network"):
        SubtensorReader("fnney")


async def test_an_answer_decodes_as_the_sdk_decodes_it() -> None:
    async with devnet_with(20) as devnet:
        sdk: Any = Substrate(devnet.url)
        await sdk.connect()
        block_hash = await sdk.block_hash(10)
        assert block_hash is not None
        for api, method in NEURON_ANSWERS:
            answer = await sdk.runtime_answer(api, method, [1], block_hash)
            assert answer.decode() == await sdk.runtime_call(api, method, [1], block_hash)
        with pytest.raises(ValueError, match="not found in registry"):
            await sdk.runtime_answer("NeuronInfoRuntimeApi", "get_dreams", [1], block_hash)
        await sdk.close()


async def test_only_changed_neurons_are_encoded() -> None:
    async with devnet_with(20) as devnet:
        sdk: Any = Substrate(devnet.url)
        await sdk.connect()
        changed: list[int] = []
        for number in map(BlockNumber, range(9, 16)):
            block = Block(number=number, hash=await require_block_hash(sdk, number))
            body = await Neurons(ONE).execute(sdk, block)
            changed.append(sdk.changed_neurons[ONE].encoded_count - sum(changed))
            neurons, subnet_state = [
                await sdk.runtime_call(api, method, [ONE], block.hash)
                for api, method in NEURON_ANSWERS
            ]
            assert body == json_codec.encode(reference_neurons(block, neurons, subnet_state))
        assert changed[0] > max(changed[1:]) > 0
        await sdk.close()
