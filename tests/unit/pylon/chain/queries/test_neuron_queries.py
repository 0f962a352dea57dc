"""The neurons of a subnet from two runtime APIs."""

from typing import Any

import pytest

from pylon.chain.queries.neuron_queries import Neurons
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import NetUid
from pylon_devnet.apis import execute_api
from pylon_devnet.chain_state import StateReader
from pylon_devnet.population import hotkey
from tests.support.chain.devnet_draft import new_draft
from tests.support.chain.fake_chain import block_of
from tests.support.chain.scripted_sdk import ScriptedSdk

BLOCK = block_of(1000)


def sdk_of(state: StateReader) -> ScriptedSdk:
    """Return an SDK that reads a state of the devnet."""

    def neurons(netuid: int) -> Any:
        return execute_api(state, "NeuronInfoRuntimeApi", "get_neurons_lite", [netuid])

    def subnet_state(netuid: int) -> Any:
        return execute_api(state, "SubnetInfoRuntimeApi", "get_subnet_state", [netuid])

    return ScriptedSdk(apis={"get_neurons_lite": neurons, "get_subnet_state": subnet_state})


async def test_the_neurons_of_the_subnet_are_returned_by_hotkey() -> None:
    found = await Neurons(NetUid(2)).execute(sdk_of(new_draft()), BLOCK)
    assert found.block == BLOCK
    assert list(found.neurons) == [hotkey(2, uid) for uid in range(16)]
    assert [neuron.uid for neuron in found.neurons.values()] == list(range(16))
    assert found.skipped == []


async def test_a_subnet_that_does_not_exist_or_is_empty_is_not_found() -> None:
    empty = new_draft()
    empty.put("SubtensorModule", "SubnetworkN", 2, 0)
    for state, netuid in ((new_draft(), 9), (empty, 2)):
        with pytest.raises(FailureError, match=f"Subnet {netuid} not found") as caught:
            await Neurons(NetUid(netuid)).execute(sdk_of(state), BLOCK)
        assert caught.value.code is ErrorCode.NOT_FOUND
