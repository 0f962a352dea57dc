"""The neurons of a subnet, from two runtime APIs at one block."""

import asyncio

from pylon.chain.neuron_decoding import RuntimeRecord, decode_subnet_neurons
from pylon.chain.query import Neurons
from pylon.chain.sdk_types import Sdk
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, SubnetNeurons


async def read_neurons(sdk: Sdk, query: Neurons, block: Block) -> SubnetNeurons:
    """Return all neurons of a subnet, by hotkey, in the order of their uids.

    Raises:
        FailureError: NOT_FOUND if the subnet does not exist.
    """
    netuid = query.netuid
    neurons_lite, state = await asyncio.gather(
        sdk.runtime_call("NeuronInfoRuntimeApi", "get_neurons_lite", [netuid], block.hash),
        sdk.runtime_call("SubnetInfoRuntimeApi", "get_subnet_state", [netuid], block.hash),
    )
    lite: list[RuntimeRecord] = neurons_lite
    if not state or not state["hotkeys"]:
        raise FailureError(ErrorCode.NOT_FOUND, f"Subnet {netuid} not found.")
    return decode_subnet_neurons(block, lite, state)
