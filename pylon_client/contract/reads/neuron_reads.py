"""The reads of a subnet's neurons."""

from typing import Final

from pylon_client.contract.models import NeuronChanges, SubnetNeurons, SubnetValidators
from pylon_client.contract.operation import NoParams, Operation
from pylon_client.contract.reads.read_params import BlockParams, ChangesParams

LATEST_NEURONS: Final = Operation(
    name="neurons.latest",
    summary="All neurons of a subnet at the latest block",
    params=NoParams,
    reply=SubnetNeurons,
    path="/block/latest/neurons",
)
NEURONS_AT: Final = Operation(
    name="neurons.at",
    summary="All neurons of a subnet at a block",
    params=BlockParams,
    reply=SubnetNeurons,
    path="/block/{block_number}/neurons",
)
RECENT_NEURONS: Final = Operation(
    name="neurons.recent",
    summary="All neurons of a tracked subnet as last published, without reading the chain",
    params=NoParams,
    reply=SubnetNeurons,
    path="/block/recent/neurons",
)
NEURON_CHANGES: Final = Operation(
    name="neurons.changes",
    summary="The changes of a subnet's neurons since a block, up to the latest block",
    params=ChangesParams,
    reply=NeuronChanges,
    path="/block/latest/neurons/changes",
)
LATEST_VALIDATORS: Final = Operation(
    name="validators.latest",
    summary="The validators of a subnet at the latest block, by total stake",
    params=NoParams,
    reply=SubnetValidators,
    path="/block/latest/validators",
)
VALIDATORS_AT: Final = Operation(
    name="validators.at",
    summary="The validators of a subnet at a block, by total stake",
    params=BlockParams,
    reply=SubnetValidators,
    path="/block/{block_number}/validators",
)
