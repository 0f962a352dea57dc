"""The rows of reads of commitments."""

from typing import Any, Final

from pylon.chain.queries.commitment_queries import Commitments, RevealedCommitments
from pylon.chain.query import AnyQuery
from pylon.reads import projections
from pylon.reads.projections import AnyRead
from pylon.reads.read_spec import ReadSpec
from pylon_client.contract import reads


def _commitments(read: AnyRead) -> AnyQuery:
    return Commitments(read.netuid)


def _revealed(read: AnyRead) -> AnyQuery:
    return RevealedCommitments(read.netuid)


COMMITMENT_SPECS: Final[tuple[ReadSpec[Any], ...]] = (
    ReadSpec(reads.COMMITMENTS, _commitments, projections.hex_commitments),
    ReadSpec(reads.COMMITMENT, _commitments, projections.hex_commitment),
    ReadSpec(reads.OWN_COMMITMENT, _commitments, projections.hex_commitment, uses_own_hotkey=True),
    ReadSpec(reads.TYPED_COMMITMENTS, _commitments),
    ReadSpec(reads.TYPED_COMMITMENT, _commitments, projections.typed_commitment),
    ReadSpec(
        reads.OWN_TYPED_COMMITMENT, _commitments, projections.typed_commitment, uses_own_hotkey=True
    ),
    ReadSpec(reads.REVEALED_COMMITMENTS, _revealed),
    ReadSpec(reads.REVEALED_COMMITMENTS_OF, _revealed, projections.revealed_commitments),
    ReadSpec(
        reads.OWN_REVEALED_COMMITMENTS,
        _revealed,
        projections.revealed_commitments,
        uses_own_hotkey=True,
    ),
)
