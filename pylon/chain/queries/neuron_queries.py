"""The neurons of a subnet, from two runtime APIs at one block."""

import asyncio
from dataclasses import dataclass

from pylon.chain.neuron_decoding import RuntimeRecord, decode_subnet_neurons
from pylon.chain.query import Query
from pylon.chain.sdk_types import Sdk
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, SubnetNeurons
from pylon_client.contract.types import NetUid


@dataclass(frozen=True, slots=True)
class Neurons(Query[SubnetNeurons]):
    """All neurons of a subnet."""

    netuid: NetUid

    async def execute(self, sdk: Sdk, block: Block) -> SubnetNeurons:
        """Return all neurons of a subnet, by hotkey, in the order of their uids.

        Raises:
            FailureError: NOT_FOUND if the subnet does not exist.
        """
        netuid = self.netuid
        neurons_lite, state = await asyncio.gather(
            sdk.runtime_call("NeuronInfoRuntimeApi", "get_neurons_lite", [netuid], block.hash),
            sdk.runtime_call("SubnetInfoRuntimeApi", "get_subnet_state", [netuid], block.hash),
        )
        lite: list[RuntimeRecord] = neurons_lite
        if not state or not state["hotkeys"]:
            raise FailureError(ErrorCode.NOT_FOUND, f"Subnet {netuid} not found.")
        return decode_subnet_neurons(block, lite, state)
