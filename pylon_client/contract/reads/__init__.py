"""The reads: operations that do not change the chain. Each topic has a module."""

from typing import TYPE_CHECKING, Any, Final, cast

from pylon_client.contract.deprecated_names import deprecated_names
from pylon_client.contract.operation import Operation
from pylon_client.contract.reads import (
    block_reads,
    certificate_reads,
    commitment_reads,
    extrinsic_reads,
    neuron_reads,
    service_reads,
    subnet_reads,
    weight_reads,
)
from pylon_client.contract.reads.block_reads import LAST_DRAND_ROUND, LATEST_BLOCK
from pylon_client.contract.reads.certificate_reads import (
    CERTIFICATE,
    CERTIFICATES,
    EVM_ASSOCIATIONS,
    OWN_CERTIFICATE,
)
from pylon_client.contract.reads.commitment_reads import (
    COMMITMENT,
    COMMITMENTS,
    OWN_COMMITMENT,
    OWN_REVEALED_COMMITMENTS,
    OWN_TYPED_COMMITMENT,
    REVEALED_COMMITMENTS,
    REVEALED_COMMITMENTS_OF,
    TYPED_COMMITMENT,
    TYPED_COMMITMENTS,
)
from pylon_client.contract.reads.extrinsic_reads import EXTRINSIC
from pylon_client.contract.reads.neuron_reads import (
    LATEST_NEURONS,
    LATEST_VALIDATORS,
    NEURON_CHANGES,
    NEURONS_AT,
    RECENT_NEURONS,
    VALIDATORS_AT,
)
from pylon_client.contract.reads.read_params import (
    BlockParams,
    ChangesParams,
    ExtrinsicParams,
    HotkeyParams,
    WeightsStatusParams,
)
from pylon_client.contract.reads.service_reads import IDENTITIES
from pylon_client.contract.reads.subnet_reads import (
    HYPERPARAMETERS_AT,
    LATEST_HYPERPARAMETERS,
    LATEST_PRICE,
    LATEST_PRICES,
    PRICE_AT,
    PRICES_AT,
)
from pylon_client.contract.reads.weight_reads import WEIGHTS_STATUS

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = [
    "CERTIFICATE",
    "CERTIFICATES",
    "COMMITMENT",
    "COMMITMENTS",
    "EVM_ASSOCIATIONS",
    "EXTRINSIC",
    "HYPERPARAMETERS_AT",
    "IDENTITIES",
    "LAST_DRAND_ROUND",
    "LATEST_BLOCK",
    "LATEST_HYPERPARAMETERS",
    "LATEST_NEURONS",
    "LATEST_PRICE",
    "LATEST_PRICES",
    "LATEST_VALIDATORS",
    "NEURONS_AT",
    "NEURON_CHANGES",
    "OWN_CERTIFICATE",
    "OWN_COMMITMENT",
    "OWN_REVEALED_COMMITMENTS",
    "OWN_TYPED_COMMITMENT",
    "PRICES_AT",
    "PRICE_AT",
    "READ_OPERATIONS",
    "RECENT_NEURONS",
    "REVEALED_COMMITMENTS",
    "REVEALED_COMMITMENTS_OF",
    "TYPED_COMMITMENT",
    "TYPED_COMMITMENTS",
    "VALIDATORS_AT",
    "WEIGHTS_STATUS",
    "BlockParams",
    "ChangesParams",
    "ExtrinsicParams",
    "HotkeyParams",
    "WeightsStatusParams",
]

if not TYPE_CHECKING:  # type checkers report the old names
    __getattr__ = deprecated_names(
        __name__,
        {
            "AtBlock": BlockParams,
            "OfHotkey": HotkeyParams,
            "ExtrinsicAt": ExtrinsicParams,
            "WeightsStatusAt": WeightsStatusParams,
        },
    )

_TOPICS: Final = (
    block_reads,
    extrinsic_reads,
    neuron_reads,
    weight_reads,
    subnet_reads,
    commitment_reads,
    certificate_reads,
    service_reads,
)
READ_OPERATIONS: Final = tuple(
    cast("Operation[Any, BaseModel]", value)
    for topic in _TOPICS
    for value in vars(topic).values()
    if isinstance(value, Operation)
)
"""All reads, in the order of the documentation."""
