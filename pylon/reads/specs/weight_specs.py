"""The rows of reads of weights."""

from typing import Any, Final

from pylon.chain.queries.weight_queries import WeightsOf
from pylon.chain.query import AnyQuery
from pylon.reads.read_query import ReadQuery
from pylon.reads.read_spec import ReadSpec
from pylon_client.contract import reads
from pylon_client.contract.reads import WeightsStatusParams


def _weights_status(read: ReadQuery[WeightsStatusParams]) -> AnyQuery:
    return WeightsOf(read.netuid, read.params.mechanism_id, read.hotkey)


WEIGHTS_STATUS_SPEC: Final = ReadSpec(reads.WEIGHTS_STATUS, _weights_status, uses_own_hotkey=True)
"""A signing worker combines its result with the identity's jobs."""

WEIGHT_SPECS: Final[tuple[ReadSpec[Any], ...]] = (WEIGHTS_STATUS_SPEC,)
