"""The rows of reads of neurons."""

from typing import Any, Final

from pylon.chain.queries.neuron_queries import Neurons
from pylon.chain.query import AnyQuery
from pylon.reads import projections
from pylon.reads.projections import AnyRead
from pylon.reads.read_spec import ReadSpec
from pylon_client.contract import reads


def _neurons(read: AnyRead) -> AnyQuery:
    return Neurons(read.netuid)


NEURON_SPECS: Final[tuple[ReadSpec[Any], ...]] = (
    ReadSpec(reads.LATEST_NEURONS, _neurons),
    ReadSpec(reads.NEURONS_AT, _neurons),
    ReadSpec(reads.LATEST_VALIDATORS, _neurons, projections.validators),
    ReadSpec(reads.VALIDATORS_AT, _neurons, projections.validators),
)
