"""The reads of a block's extrinsics."""

from typing import Final

from pylon_client.contract.models import Extrinsic
from pylon_client.contract.operation import Operation
from pylon_client.contract.reads.read_params import ExtrinsicParams

EXTRINSIC: Final = Operation(
    name="extrinsic.at",
    summary="One extrinsic of a block, decoded",
    params=ExtrinsicParams,
    reply=Extrinsic,
    path="/block/{block_number}/extrinsic/{extrinsic_index}",
    per_subnet=False,
)
