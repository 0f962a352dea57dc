"""Queries on the state after a block, each with the model of its result.

A query is plain data. It is an argument of the chain port and part of the cache key; only the
functions of `pylon/chain/queries` know how to execute it.
"""

import re
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pydantic import BaseModel

from pylon_client.contract.models import (
    Collection,
    DrandRound,
    Extrinsic,
    NeuronCertificate,
    SubnetEvmAssociations,
    SubnetHyperparameters,
    SubnetNeurons,
    SubnetPrices,
    SubnetRevealedCommitments,
    SubnetTypedCommitments,
    WeightsStatus,
)
from pylon_client.contract.types import Hotkey, MechanismId, NetUid

_WORD_START_PATTERN: Final = re.compile(r"(?<!^)(?=[A-Z])")

ResultT_co = TypeVar("ResultT_co", bound=BaseModel, covariant=True)


class BlockExtrinsics(Collection):
    """The extrinsics of a block in their order; None for one that cannot be decoded."""

    extrinsics: list[Extrinsic | None]


class Certificates(Collection):
    """The certificates of a subnet's neurons, by hotkey."""

    certificates: dict[Hotkey, NeuronCertificate]


@dataclass(frozen=True, slots=True)
class Query(Generic[ResultT_co]):
    """A query with one result at each block."""

    @property
    def name(self) -> str:
        """Return its name in metrics: the name of the class in snake case."""
        return _WORD_START_PATTERN.sub("_", type(self).__name__).lower()


@dataclass(frozen=True, slots=True)
class Neurons(Query[SubnetNeurons]):
    """All neurons of a subnet."""

    netuid: NetUid


@dataclass(frozen=True, slots=True)
class Commitments(Query[SubnetTypedCommitments]):
    """All commitments of a subnet, including commitments of deregistered hotkeys."""

    netuid: NetUid


@dataclass(frozen=True, slots=True)
class RevealedCommitments(Query[SubnetRevealedCommitments]):
    """All revealed commitments of a subnet."""

    netuid: NetUid


@dataclass(frozen=True, slots=True)
class CertificatesOf(Query[Certificates]):
    """All certificates of the neurons of a subnet."""

    netuid: NetUid


@dataclass(frozen=True, slots=True)
class Hyperparameters(Query[SubnetHyperparameters]):
    """All hyperparameters of a subnet."""

    netuid: NetUid


@dataclass(frozen=True, slots=True)
class Prices(Query[SubnetPrices]):
    """The alpha price of every subnet."""


@dataclass(frozen=True, slots=True)
class EvmAssociations(Query[SubnetEvmAssociations]):
    """The EVM addresses of a subnet's neurons."""

    netuid: NetUid


@dataclass(frozen=True, slots=True)
class Extrinsics(Query[BlockExtrinsics]):
    """The extrinsics that the block includes."""


@dataclass(frozen=True, slots=True)
class LastDrandRound(Query[DrandRound]):
    """The newest drand round that the chain has stored."""


@dataclass(frozen=True, slots=True)
class WeightsOf(Query[WeightsStatus]):
    """Whether a hotkey had submitted its weights in the epoch of the block."""

    netuid: NetUid
    mechanism: MechanismId
    hotkey: Hotkey
