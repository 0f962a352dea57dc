"""What each read asks of the chain, and what its reply shows of the answer.

Open access and identities share a row: the subnet and the hotkey come with the call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from pylon.chain import query
from pylon.chain.query import Query
from pylon.reads import projections
from pylon.reads.read_query import ReadQuery
from pylon_client.contract import reads
from pylon_client.contract.reads import WeightsStatusParams


@dataclass(frozen=True, slots=True)
class ReadSpec:
    """How a read is answered.

    Attributes:
        query: the question to the chain.
        project: what the reply shows of the answer, as JSON values; None for all of it.
        uses_own_hotkey: whether it is about the hotkey of the identity that asks.
    """

    query: Callable[[ReadQuery], Query[BaseModel]]
    project: Callable[[dict[str, Any], ReadQuery], dict[str, Any]] | None = None
    uses_own_hotkey: bool = False


def _neurons(read: ReadQuery) -> Query[BaseModel]:
    return query.Neurons(read.netuid)


def _commitments(read: ReadQuery) -> Query[BaseModel]:
    return query.Commitments(read.netuid)


def _revealed(read: ReadQuery) -> Query[BaseModel]:
    return query.RevealedCommitments(read.netuid)


def _certificates(read: ReadQuery) -> Query[BaseModel]:
    return query.CertificatesOf(read.netuid)


def _hyperparameters(read: ReadQuery) -> Query[BaseModel]:
    return query.Hyperparameters(read.netuid)


def _prices(_read: ReadQuery) -> Query[BaseModel]:
    return query.Prices()


def _evm_associations(read: ReadQuery) -> Query[BaseModel]:
    return query.EvmAssociations(read.netuid)


def _extrinsics(_read: ReadQuery) -> Query[BaseModel]:
    return query.Extrinsics()


def _last_drand_round(_read: ReadQuery) -> Query[BaseModel]:
    return query.LastDrandRound()


def _weights_status(read: ReadQuery) -> Query[BaseModel]:
    if not isinstance(read.params, WeightsStatusParams):
        raise TypeError(
            f"{read.operation} takes WeightsStatusParams, not {type(read.params).__name__}"
        )
    return query.WeightsOf(read.netuid, read.params.mechanism_id, read.hotkey)


READ_SPECS: Final[Mapping[str, ReadSpec]] = {
    reads.LATEST_NEURONS.name: ReadSpec(_neurons),
    reads.NEURONS_AT.name: ReadSpec(_neurons),
    reads.LATEST_VALIDATORS.name: ReadSpec(_neurons, projections.validators),
    reads.VALIDATORS_AT.name: ReadSpec(_neurons, projections.validators),
    reads.COMMITMENTS.name: ReadSpec(_commitments, projections.hex_commitments),
    reads.COMMITMENT.name: ReadSpec(_commitments, projections.hex_commitment),
    reads.OWN_COMMITMENT.name: ReadSpec(
        _commitments, projections.hex_commitment, uses_own_hotkey=True
    ),
    reads.TYPED_COMMITMENTS.name: ReadSpec(_commitments),
    reads.TYPED_COMMITMENT.name: ReadSpec(_commitments, projections.typed_commitment),
    reads.OWN_TYPED_COMMITMENT.name: ReadSpec(
        _commitments, projections.typed_commitment, uses_own_hotkey=True
    ),
    reads.REVEALED_COMMITMENTS.name: ReadSpec(_revealed),
    reads.REVEALED_COMMITMENTS_OF.name: ReadSpec(_revealed, projections.revealed_commitments),
    reads.OWN_REVEALED_COMMITMENTS.name: ReadSpec(
        _revealed, projections.revealed_commitments, uses_own_hotkey=True
    ),
    reads.CERTIFICATES.name: ReadSpec(_certificates, projections.certificates),
    reads.CERTIFICATE.name: ReadSpec(_certificates, projections.certificate),
    reads.OWN_CERTIFICATE.name: ReadSpec(
        _certificates, projections.certificate, uses_own_hotkey=True
    ),
    reads.LATEST_HYPERPARAMETERS.name: ReadSpec(_hyperparameters),
    reads.HYPERPARAMETERS_AT.name: ReadSpec(_hyperparameters),
    reads.LATEST_PRICE.name: ReadSpec(_prices, projections.price),
    reads.PRICE_AT.name: ReadSpec(_prices, projections.price),
    reads.LATEST_PRICES.name: ReadSpec(_prices),
    reads.PRICES_AT.name: ReadSpec(_prices),
    reads.EVM_ASSOCIATIONS.name: ReadSpec(_evm_associations),
    reads.EXTRINSIC.name: ReadSpec(_extrinsics, projections.extrinsic),
    reads.LAST_DRAND_ROUND.name: ReadSpec(_last_drand_round),
    reads.WEIGHTS_STATUS.name: ReadSpec(_weights_status, uses_own_hotkey=True),
}
"""By the operation's name."""
