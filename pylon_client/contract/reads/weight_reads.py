"""The reads of weights."""

from typing import Final

from pylon_client.contract.models import WeightsStatus
from pylon_client.contract.operation import Operation
from pylon_client.contract.reads.read_params import WeightsStatusParams

WEIGHTS_STATUS: Final = Operation(
    name="weights.status",
    summary="Whether the identity's weights were accepted, or are set, in the epoch of a block",
    params=WeightsStatusParams,
    reply=WeightsStatus,
    path="/mechanism/{mechanism_id}/block/{block_number}/weights/status",
    identity_only=True,
    immutable_at_block=False,
)
