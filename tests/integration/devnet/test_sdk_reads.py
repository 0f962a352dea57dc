"""The unmodified SDK reads the devnet over a real WebSocket."""

import asyncio
import ipaddress
from typing import Any

import bittensor
import pytest
from bittensor._generated.runtime_apis import NeuronInfoRuntimeApi, SubnetInfoRuntimeApi
from bittensor.sp_core import Keypair

from pylon_devnet import Devnet, DevnetOptions
from pylon_devnet.population import SUBNETS, dev_hotkey_seed, hotkey
from tests.support.chain.sdk_storage import st
from tests.support.product.eventually import eventually

NEURONS_CALL = "state_call:NeuronInfoRuntimeApi_get_neurons_lite"


def _text(value: Any) -> bytes:
    """Bytes that the SDK decoded, as bytes again."""
    if isinstance(value, str):
        return bytes.fromhex(value[2:]) if value.startswith("0x") else value.encode()
    return bytes(value)


async def test_block_head_and_hash(devnet: Devnet, client: bittensor.Client) -> None:
    assert await client.block() == 10
    assert await client.finalized_block() == 9
    snapshot = await client.at(7)
    assert snapshot.block == 7
    info = await client.block_info(7)
    assert info is not None
    assert "0x" + (devnet.chain.hash(7) or b"").hex() == info.hash
    assert info.timestamp == (await snapshot.timestamp())
    calls = [one["call"]["call_function"] for one in info.extrinsics]
    assert calls == ["set"]


@pytest.mark.parametrize("plan", SUBNETS, ids=lambda plan: plan.name)
async def test_all_neurons_are_read(plan: Any, client: bittensor.Client) -> None:
    neurons = await client.neurons.all(plan.netuid)
    assert [one.uid for one in neurons] == list(range(plan.neurons))
    assert neurons[0].hotkey == hotkey(plan.netuid, 0)
    assert neurons[0].validator_permit
    assert neurons[0].total_stake.rao >= 50_000 * 10**9
    assert sum(one.validator_permit for one in neurons) == plan.validators
    assert len({one.hotkey for one in neurons}) == plan.neurons
    axons = [one.raw["axon_info"] for one in neurons]
    assert any(axon["ip"] == 0 for axon in axons)
    served = [axon for axon in axons if axon["ip"]]
    assert {axon["ip_type"] for axon in served} == {4, 6}
    assert all(ipaddress.ip_address(axon["ip"]).version == axon["ip_type"] for axon in served)
    miners = [one for one in neurons if one.raw["incentive"]]
    assert len(miners) > (plan.neurons - plan.validators) // 2
    assert any(one.raw["dividends"] for one in neurons)


async def test_one_read_of_neurons_is_one_request(devnet: Devnet, client: bittensor.Client) -> None:
    await client.neurons.all(1)
    assert devnet.request_counts()[NEURONS_CALL] == 1
    (record,) = [one for one in devnet.requests() if one.method == NEURONS_CALL]
    assert record.params == (1,)
    assert record.block_number == 10


async def test_a_past_block_reads_unchanged(devnet: Devnet, client: bittensor.Client) -> None:
    async def seen(block: int) -> Any:
        return await (await client.at(block)).runtime(NeuronInfoRuntimeApi.get_neurons_lite, [1])

    at_head = await seen(10)
    await devnet.advance(5)
    assert await seen(10) == at_head
    assert await seen(15) != at_head


async def test_values_change_with_every_block(devnet: Devnet, client: bittensor.Client) -> None:
    stakes: list[list[int]] = []
    for _ in range(4):
        await devnet.advance()
        snapshot = await client.at(devnet.best_number)
        state = await snapshot.runtime(SubnetInfoRuntimeApi.get_subnet_state, [1])
        stakes.append(state["alpha_stake"])
    assert len({tuple(one) for one in stakes}) == 4
    assert len({one[0] for one in stakes}) == 1, "the user's own validator is left alone"


async def test_subnet_state_and_metagraph_agree(client: bittensor.Client) -> None:
    snapshot = await client.at(10)
    state = await snapshot.runtime(SubnetInfoRuntimeApi.get_subnet_state, [2])
    graph = await snapshot.runtime(SubnetInfoRuntimeApi.get_metagraph, [2])
    for column in ("hotkeys", "coldkeys", "alpha_stake", "total_stake", "incentives", "emission"):
        assert state[column] == graph[column]
    metagraph = await snapshot.subnets.metagraph(2)
    assert metagraph is not None
    assert (len(metagraph), metagraph.name, metagraph.block) == (16, "sturdy", 10)
    assert metagraph.symbol == "\u03b2"
    assert await snapshot.subnets.metagraph(99) is None
    assert all(one.total_stake.rao >= one.alpha_stake.rao for one in metagraph.neurons)
    assert any(one.tao_stake.rao for one in metagraph.neurons)


async def test_hyperparameters_of_each_version(client: bittensor.Client) -> None:
    newest = await client.subnets.subnet_hyperparameters(12)
    second = await client.runtime(SubnetInfoRuntimeApi.get_subnet_hyperparams_v2, [12])
    first = await client.runtime(SubnetInfoRuntimeApi.get_subnet_hyperparams, [12])
    assert first.items() <= second.items()
    shared = (second.keys() & newest.keys()) - {"alpha_sigmoid_steepness"}
    assert len(shared) > 25
    assert {name: newest[name] for name in shared} == {name: second[name] for name in shared}
    assert newest["commit_reveal_weights_enabled"] is True
    assert await client.query(st.SubtensorModule.Tempo, [12]) == newest["tempo"] == 20


async def test_commitments_and_certificates(client: bittensor.Client) -> None:
    commitments = await client.subnets.commitments(1)
    first = commitments[hotkey(1, 64)]
    assert first.data == "devnet miner 64 of apex"
    assert first.uid == 64
    rows = await client.query_map(st.SubtensorModule.NeuronCertificates, [1])
    certificates = {str(key): value for key, value in rows}
    assert set(certificates) == set(commitments)
    certificate = await client.query(st.SubtensorModule.NeuronCertificates, [1, hotkey(1, 64)])
    assert certificate["algorithm"] == 1
    assert len(_text(certificate["public_key"])) == 64
    assert await client.query(st.SubtensorModule.NeuronCertificates, [1, hotkey(1, 0)]) is None


async def test_maps_are_paged_to_the_end(client: bittensor.Client) -> None:
    rows = await client.query_map(st.SubtensorModule.Uids, [1])
    assert {str(key): uid for key, uid in rows} == {hotkey(1, uid): uid for uid in range(256)}


async def test_other_items_of_the_gateway_are_read(
    devnet: Devnet, client: bittensor.Client
) -> None:
    assert await client.query(st.SubtensorModule.SubnetEpochConsensus, [1]) == "Yuma"
    assert await client.query(st.SubtensorModule.AssociatedEvmAddress, [1, 0]) is None
    assert await client.query(st.Drand.LastStoredRound) > 0
    assert await client.query(st.System.Number) == 10
    prices = await client.prices.alpha_prices()
    assert set(prices) == {0, 1, 2, 12}
    assert 0.01 < prices[1] < 1
    assert await client.block_time() == 0.25
    schedule = await client.epochs.epoch_status(1)
    assert schedule["next_epoch_start_block"] == 20
    assert schedule["blocks_since_last_step"] == 10


async def test_heads_and_final_heads_are_announced(devnet: Devnet) -> None:
    async with bittensor.Client(devnet.url) as client:
        numbers: list[int] = []

        async def follow(finalized: bool) -> None:  # noqa: FBT001 - the SDK's word
            async for header in client.blocks(finalized=finalized):
                numbers.append(header.number)
                if len(numbers) % 3 == 0:
                    return

        for finalized, expected in ((False, [10, 11, 12]), (True, [11, 12, 13])):
            numbers.clear()
            following = asyncio.create_task(follow(finalized))
            await eventually(lambda: numbers)
            await devnet.advance(2)
            await following
            assert numbers == expected


async def test_anyone_can_sign_as_a_neuron() -> None:
    keypair = Keypair.create_from_seed(dev_hotkey_seed("sn1-17"))
    assert keypair.ss58_address == hotkey(1, 17)


async def test_two_devnets_of_one_seed_are_the_same_chain() -> None:
    hashes: list[list[bytes | None]] = []
    for seed in (1, 1, 2):
        options = DevnetOptions(
            port=0, seed=seed, autostart=False, genesis_time_ms=1_750_000_000_000, tempo_blocks=7
        )
        async with Devnet(options) as devnet:
            await devnet.advance(20)
            hashes.append([devnet.chain.hash(number) for number in range(21)])
    assert hashes[0] == hashes[1]
    assert not set(hashes[0]) & set(hashes[2])


async def test_another_block_time_is_another_genesis() -> None:
    # The SDK caches metadata, which holds the block time, by genesis hash.
    hashes: set[bytes] = set()
    for block_time_s in (0.25, 12):
        async with Devnet(DevnetOptions(port=0, block_time_s=block_time_s)) as devnet:
            hashes.add(devnet.chain.genesis_hash)
    assert len(hashes) == 2
