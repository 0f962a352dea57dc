"""The neurons of a subnet from two runtime APIs."""

from typing import Any

import pytest

from pylon.chain.queries.neuron_queries import Neurons
from pylon_client.contract import neurons_body
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import SubnetNeurons
from pylon_client.contract.types import NetUid
from pylon_devnet.apis import execute_api
from pylon_devnet.chain_state import StateReader
from pylon_devnet.population import hotkey
from tests.support.chain.devnet_draft import new_draft
from tests.support.chain.fake_chain import block_of
from tests.support.chain.scripted_sdk import ScriptedSdk

BLOCK, NEXT_BLOCK = block_of(1000), block_of(1001)
BOTH_CALLS = ["get_neurons_lite", "get_subnet_state"]


def sdk_of(state: StateReader) -> ScriptedSdk:
    """Return an SDK that reads a state of the devnet."""

    def neurons(netuid: int) -> Any:
        return execute_api(state, "NeuronInfoRuntimeApi", "get_neurons_lite", [netuid])

    def subnet_state(netuid: int) -> Any:
        return execute_api(state, "SubnetInfoRuntimeApi", "get_subnet_state", [netuid])

    return ScriptedSdk(apis={"get_neurons_lite": neurons, "get_subnet_state": subnet_state})


async def test_the_neurons_of_the_subnet_are_returned_by_hotkey() -> None:
    body = await Neurons(NetUid(2)).execute(sdk_of(new_draft()), BLOCK)
    found = SubnetNeurons.model_validate_json(body)
    assert neurons_body.is_of_block(body, BLOCK)
    assert found.block == BLOCK
    assert list(found.neurons) == [hotkey(2, uid) for uid in range(16)]
    assert [neuron.uid for neuron in found.neurons.values()] == list(range(16))
    assert found.skipped == []


async def test_unchanged_stakes_are_not_decoded_again() -> None:
    sdk = sdk_of(new_draft())
    first = await Neurons(NetUid(2)).execute(sdk, BLOCK)
    second = await Neurons(NetUid(2)).execute(sdk, NEXT_BLOCK)
    assert sdk.decoded.count("get_subnet_state") == 1
    expected = SubnetNeurons.model_validate_json(first).model_copy(update={"block": NEXT_BLOCK})
    assert SubnetNeurons.model_validate_json(second) == expected


async def test_neurons_of_another_subnet_or_runtime_are_decoded() -> None:
    sdk = sdk_of(new_draft())
    for netuid in (2, 1):
        await Neurons(NetUid(netuid)).execute(sdk, BLOCK)
    sdk.codec = object()
    await Neurons(NetUid(2)).execute(sdk, NEXT_BLOCK)
    assert sorted(sdk.decoded) == sorted(BOTH_CALLS * 3)


@pytest.mark.parametrize("call", BOTH_CALLS)
async def test_changed_neurons_and_stakes_are_decoded_again(call: str) -> None:
    sdk = sdk_of(new_draft())
    first = await Neurons(NetUid(2)).execute(sdk, BLOCK)
    read = sdk.apis[call]

    def changed(netuid: int) -> Any:
        found = read(netuid)
        if isinstance(found, dict):
            return found | {"alpha_stake": [amount + 10**9 for amount in found["alpha_stake"]]}
        return [record | {"pruning_score": 7} for record in found]

    sdk.apis[call] = changed
    second = await Neurons(NetUid(2)).execute(sdk, BLOCK)
    assert second != first
    assert sdk.decoded.count(call) == 2


async def test_a_subnet_with_a_skipped_record_is_decoded_at_each_block() -> None:
    sdk = sdk_of(new_draft())
    read = sdk.apis["get_neurons_lite"]
    sdk.apis["get_neurons_lite"] = lambda netuid: [*read(netuid), {"uid": 99, "hotkey": "5Broken"}]
    for block in (BLOCK, NEXT_BLOCK):
        body = await Neurons(NetUid(2)).execute(sdk, block)
        (skipped,) = SubnetNeurons.model_validate_json(body).skipped
        assert skipped.item == "5Broken"
    assert sdk.decoded.count("get_neurons_lite") == 2, "so that it is counted at each block"


async def test_a_subnet_that_does_not_exist_or_is_empty_is_not_found() -> None:
    empty = new_draft()
    empty.put("SubtensorModule", "SubnetworkN", 2, 0)
    for state, netuid in ((new_draft(), 9), (empty, 2)):
        with pytest.raises(FailureError, match=f"Subnet {netuid} not found") as caught:
            await Neurons(NetUid(netuid)).execute(sdk_of(state), BLOCK)
        assert caught.value.code is ErrorCode.NOT_FOUND
