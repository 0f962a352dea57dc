"""The rows of reads of extrinsics."""

from typing import Any, Final

from pylon.chain.queries.extrinsic_queries import Extrinsics
from pylon.chain.query import AnyQuery
from pylon.reads import projections
from pylon.reads.projections import AnyRead
from pylon.reads.read_spec import ReadSpec
from pylon_client.contract import reads


def _extrinsics(_read: AnyRead) -> AnyQuery:
    return Extrinsics()


EXTRINSIC_SPECS: Final[tuple[ReadSpec[Any], ...]] = (
    ReadSpec(reads.EXTRINSIC, _extrinsics, projections.extrinsic),
)
