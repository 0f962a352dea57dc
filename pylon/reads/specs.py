"""The table of reads: one `ReadSpec` row per operation.

Open access and identities share a row: the call contains the subnet and the hotkey.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic

from pydantic import BaseModel

from pylon.chain.queries.certificate_queries import CertificatesOf
from pylon.chain.queries.commitment_queries import Commitments, RevealedCommitments
from pylon.chain.queries.drand_queries import LastDrandRound
from pylon.chain.queries.evm_queries import EvmAssociations
from pylon.chain.queries.extrinsic_queries import Extrinsics
from pylon.chain.queries.hyperparameter_queries import Hyperparameters
from pylon.chain.queries.neuron_queries import Neurons
from pylon.chain.queries.price_queries import Prices
from pylon.chain.queries.weight_queries import WeightsOf
from pylon.chain.query import AnyQuery
from pylon.reads import projections
from pylon.reads.projections import AnyRead
from pylon.reads.read_query import ReadQuery
from pylon.rpc.calls import ParamsT
from pylon_client.contract import reads
from pylon_client.contract.operations import Operation
from pylon_client.contract.reads import WeightsStatusParams


@dataclass(frozen=True, slots=True)
class ReadSpec(Generic[ParamsT]):
    """How a read is executed.

    Attributes:
        operation: the read.
        query: returns the query to the chain; `pylon.chain.queries` executes it.
        project: returns the reply's JSON values from the JSON values of the query's result; None if
            the reply is the whole result.
        uses_own_hotkey: whether it reads the calling identity's own hotkey.
    """

    operation: Operation[ParamsT, BaseModel]
    query: Callable[[ReadQuery[ParamsT]], AnyQuery]
    project: Callable[[dict[str, Any], ReadQuery[ParamsT]], dict[str, Any]] | None = None
    uses_own_hotkey: bool = False


def _neurons(read: AnyRead) -> AnyQuery:
    return Neurons(read.netuid)


def _commitments(read: AnyRead) -> AnyQuery:
    return Commitments(read.netuid)


def _revealed(read: AnyRead) -> AnyQuery:
    return RevealedCommitments(read.netuid)


def _certificates(read: AnyRead) -> AnyQuery:
    return CertificatesOf(read.netuid)


def _hyperparameters(read: AnyRead) -> AnyQuery:
    return Hyperparameters(read.netuid)


def _prices(_read: AnyRead) -> AnyQuery:
    return Prices()


def _evm_associations(read: AnyRead) -> AnyQuery:
    return EvmAssociations(read.netuid)


def _extrinsics(_read: AnyRead) -> AnyQuery:
    return Extrinsics()


def _last_drand_round(_read: AnyRead) -> AnyQuery:
    return LastDrandRound()


def _weights_status(read: ReadQuery[WeightsStatusParams]) -> AnyQuery:
    return WeightsOf(read.netuid, read.params.mechanism_id, read.hotkey)


WEIGHTS_STATUS_SPEC: Final = ReadSpec(reads.WEIGHTS_STATUS, _weights_status, uses_own_hotkey=True)
"""A signing worker combines its result with the identity's jobs."""

READ_SPECS: Final[tuple[ReadSpec[Any], ...]] = (
    ReadSpec(reads.LATEST_NEURONS, _neurons),
    ReadSpec(reads.NEURONS_AT, _neurons),
    ReadSpec(reads.LATEST_VALIDATORS, _neurons, projections.validators),
    ReadSpec(reads.VALIDATORS_AT, _neurons, projections.validators),
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
    ReadSpec(reads.CERTIFICATES, _certificates, projections.certificates),
    ReadSpec(reads.CERTIFICATE, _certificates, projections.certificate),
    ReadSpec(reads.OWN_CERTIFICATE, _certificates, projections.certificate, uses_own_hotkey=True),
    ReadSpec(reads.LATEST_HYPERPARAMETERS, _hyperparameters),
    ReadSpec(reads.HYPERPARAMETERS_AT, _hyperparameters),
    ReadSpec(reads.LATEST_PRICE, _prices, projections.price),
    ReadSpec(reads.PRICE_AT, _prices, projections.price),
    ReadSpec(reads.LATEST_PRICES, _prices),
    ReadSpec(reads.PRICES_AT, _prices),
    ReadSpec(reads.EVM_ASSOCIATIONS, _evm_associations),
    ReadSpec(reads.EXTRINSIC, _extrinsics, projections.extrinsic),
    ReadSpec(reads.LAST_DRAND_ROUND, _last_drand_round),
    WEIGHTS_STATUS_SPEC,
)
