"""The rows of reads of what the chain as a whole stores."""

from typing import Any, Final

from pylon.chain.queries.drand_queries import LastDrandRound
from pylon.chain.query import AnyQuery
from pylon.reads.projections import AnyRead
from pylon.reads.read_spec import ReadSpec
from pylon_client.contract import reads


def _last_drand_round(_read: AnyRead) -> AnyQuery:
    return LastDrandRound()


BLOCK_SPECS: Final[tuple[ReadSpec[Any], ...]] = (
    ReadSpec(reads.LAST_DRAND_ROUND, _last_drand_round),
)
