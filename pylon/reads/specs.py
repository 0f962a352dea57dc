"""What each read asks of the chain, and what its reply shows of the answer.

Open access and identities share a row: the subnet and the hotkey come with the call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from pylon.chain import query
from pylon.chain.query import Question
from pylon.reads import projections
from pylon.reads.read_query import Asked
from pylon_client.contract import reads
from pylon_client.contract.reads import WeightsStatusAt


@dataclass(frozen=True, slots=True)
class Family:
    """How a read is answered.

    Attributes:
        ask: the question to the chain.
        show: what the reply shows of the answer, as JSON values; None for all of it.
        of_self: whether it is about the hotkey of the identity that asks.
    """

    ask: Callable[[Asked], Question[BaseModel]]
    show: Callable[[dict[str, Any], Asked], dict[str, Any]] | None = None
    of_self: bool = False


def _neurons(asked: Asked) -> Question[BaseModel]:
    return query.Neurons(asked.netuid)


def _commitments(asked: Asked) -> Question[BaseModel]:
    return query.Commitments(asked.netuid)


def _revealed(asked: Asked) -> Question[BaseModel]:
    return query.RevealedCommitments(asked.netuid)


def _certificates(asked: Asked) -> Question[BaseModel]:
    return query.CertificatesOf(asked.netuid)


def _hyperparameters(asked: Asked) -> Question[BaseModel]:
    return query.Hyperparameters(asked.netuid)


def _prices(_asked: Asked) -> Question[BaseModel]:
    return query.Prices()


def _evm_associations(asked: Asked) -> Question[BaseModel]:
    return query.EvmAssociations(asked.netuid)


def _extrinsics(_asked: Asked) -> Question[BaseModel]:
    return query.Extrinsics()


def _last_drand_round(_asked: Asked) -> Question[BaseModel]:
    return query.LastDrandRound()


def _weights_status(asked: Asked) -> Question[BaseModel]:
    if not isinstance(asked.params, WeightsStatusAt):
        raise TypeError(
            f"{asked.operation} takes WeightsStatusAt, not {type(asked.params).__name__}"
        )
    return query.WeightsOf(asked.netuid, asked.params.mechanism_id, asked.hotkey)


FAMILIES: Final[Mapping[str, Family]] = {
    reads.LATEST_NEURONS.name: Family(_neurons),
    reads.NEURONS_AT.name: Family(_neurons),
    reads.LATEST_VALIDATORS.name: Family(_neurons, projections.validators),
    reads.VALIDATORS_AT.name: Family(_neurons, projections.validators),
    reads.COMMITMENTS.name: Family(_commitments, projections.hex_commitments),
    reads.COMMITMENT.name: Family(_commitments, projections.hex_commitment),
    reads.OWN_COMMITMENT.name: Family(_commitments, projections.hex_commitment, of_self=True),
    reads.TYPED_COMMITMENTS.name: Family(_commitments),
    reads.TYPED_COMMITMENT.name: Family(_commitments, projections.typed_commitment),
    reads.OWN_TYPED_COMMITMENT.name: Family(
        _commitments, projections.typed_commitment, of_self=True
    ),
    reads.REVEALED_COMMITMENTS.name: Family(_revealed),
    reads.REVEALED_COMMITMENTS_OF.name: Family(_revealed, projections.revealed_commitments),
    reads.OWN_REVEALED_COMMITMENTS.name: Family(
        _revealed, projections.revealed_commitments, of_self=True
    ),
    reads.CERTIFICATES.name: Family(_certificates, projections.certificates),
    reads.CERTIFICATE.name: Family(_certificates, projections.certificate),
    reads.OWN_CERTIFICATE.name: Family(_certificates, projections.certificate, of_self=True),
    reads.LATEST_HYPERPARAMETERS.name: Family(_hyperparameters),
    reads.HYPERPARAMETERS_AT.name: Family(_hyperparameters),
    reads.LATEST_PRICE.name: Family(_prices, projections.price),
    reads.PRICE_AT.name: Family(_prices, projections.price),
    reads.LATEST_PRICES.name: Family(_prices),
    reads.PRICES_AT.name: Family(_prices),
    reads.EVM_ASSOCIATIONS.name: Family(_evm_associations),
    reads.EXTRINSIC.name: Family(_extrinsics, projections.extrinsic),
    reads.LAST_DRAND_ROUND.name: Family(_last_drand_round),
    reads.WEIGHTS_STATUS.name: Family(_weights_status, of_self=True),
}
"""By the operation's name."""
