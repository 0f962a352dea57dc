"""The neurons of a subnet, from two runtime APIs at one block."""

import asyncio
from dataclasses import dataclass

from pylon.chain.changed_neurons import ChangedNeurons
from pylon.chain.query import Query
from pylon.chain.sdk_types import Sdk
from pylon_client.contract import neurons_body
from pylon_client.contract.models import Block
from pylon_client.contract.types import NetUid


@dataclass(frozen=True, slots=True)
class Neurons(Query[bytes]):
    """All neurons of a subnet, as the JSON of `SubnetNeurons`."""

    netuid: NetUid

    async def execute(self, sdk: Sdk, block: Block) -> bytes:
        """Return all neurons of a subnet, by hotkey, in the order of their uids.

        Neurons that have not changed since the last answers are neither decoded nor encoded again.

        Raises:
            FailureError: NOT_FOUND if the subnet does not exist.
            ImplausibleError: the stakes cannot be decoded.
        """
        netuid = self.netuid
        answers = await asyncio.gather(
            sdk.runtime_answer("NeuronInfoRuntimeApi", "get_neurons_lite", [netuid], block.hash),
            sdk.runtime_answer("SubnetInfoRuntimeApi", "get_subnet_state", [netuid], block.hash),
        )
        neurons = sdk.changed_neurons.setdefault(netuid, ChangedNeurons(netuid))
        return neurons_body.at_block(block, neurons.encode(block, *answers))
