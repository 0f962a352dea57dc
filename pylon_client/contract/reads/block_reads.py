"""The reads of blocks and of what the chain as a whole stores."""

from typing import Final

from pylon_client.contract.models import BlockInfo, DrandRound
from pylon_client.contract.operation import NoParams, Operation

LATEST_BLOCK: Final = Operation(
    name="block.latest",
    summary="The latest block and its timestamp",
    params=NoParams,
    reply=BlockInfo,
    path="/block/latest",
    per_subnet=False,
)
LAST_DRAND_ROUND: Final = Operation(
    name="drand.last_stored_round",
    summary="The last drand round that the chain has stored",
    params=NoParams,
    reply=DrandRound,
    path="/block/latest/drand/last_stored_round",
    per_subnet=False,
)
