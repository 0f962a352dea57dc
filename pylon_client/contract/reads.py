"""The reads: operations that do not change the chain."""

from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from pydantic import BaseModel, Field

from pylon_client.contract.deprecated_names import deprecated_names
from pylon_client.contract.models import (
    BlockInfo,
    Commitment,
    DrandRound,
    Extrinsic,
    HotkeyRevealedCommitments,
    HotkeyTypedCommitment,
    Identities,
    NeuronCertificate,
    NeuronChanges,
    SubnetCertificates,
    SubnetCommitments,
    SubnetEvmAssociations,
    SubnetHyperparameters,
    SubnetNeurons,
    SubnetPrice,
    SubnetPrices,
    SubnetRevealedCommitments,
    SubnetTypedCommitments,
    SubnetValidators,
    WeightsStatus,
)
from pylon_client.contract.operation import NoParams, Operation, Params
from pylon_client.contract.ss58 import HotkeyField
from pylon_client.contract.types import BlockNumberField, ExtrinsicIndex, MechanismField


class BlockParams(Params):
    """The block to read at."""

    block_number: BlockNumberField


class HotkeyParams(Params):
    """The hotkey to read."""

    hotkey: HotkeyField


class ExtrinsicParams(BlockParams):
    """The block and the index of the extrinsic, from 0."""

    extrinsic_index: Annotated[ExtrinsicIndex, Field(ge=0, le=65_535)]


class ChangesParams(Params):
    """The block of the known neurons, from which the changes start."""

    since: BlockNumberField


class WeightsStatusParams(BlockParams):
    """The mechanism of the subnet, and a block of the epoch."""

    mechanism_id: MechanismField


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

LATEST_BLOCK: Final = Operation(
    name="block.latest",
    summary="The latest block and its timestamp",
    params=NoParams,
    reply=BlockInfo,
    path="/block/latest",
    per_subnet=False,
)
LATEST_NEURONS: Final = Operation(
    name="neurons.latest",
    summary="All neurons of a subnet at the latest block",
    params=NoParams,
    reply=SubnetNeurons,
    path="/block/latest/neurons",
)
NEURONS_AT: Final = Operation(
    name="neurons.at",
    summary="All neurons of a subnet at a block",
    params=BlockParams,
    reply=SubnetNeurons,
    path="/block/{block_number}/neurons",
)
RECENT_NEURONS: Final = Operation(
    name="neurons.recent",
    summary="All neurons of a tracked subnet as last published, without reading the chain",
    params=NoParams,
    reply=SubnetNeurons,
    path="/block/recent/neurons",
)
NEURON_CHANGES: Final = Operation(
    name="neurons.changes",
    summary="The changes of a subnet's neurons since a block, up to the latest block",
    params=ChangesParams,
    reply=NeuronChanges,
    path="/block/latest/neurons/changes",
)
LATEST_VALIDATORS: Final = Operation(
    name="validators.latest",
    summary="The validators of a subnet at the latest block, by total stake",
    params=NoParams,
    reply=SubnetValidators,
    path="/block/latest/validators",
)
VALIDATORS_AT: Final = Operation(
    name="validators.at",
    summary="The validators of a subnet at a block, by total stake",
    params=BlockParams,
    reply=SubnetValidators,
    path="/block/{block_number}/validators",
)
COMMITMENTS: Final = Operation(
    name="commitments.latest",
    summary="The commitments of a subnet that are plain data",
    params=NoParams,
    reply=SubnetCommitments,
    path="/block/latest/commitments",
)
COMMITMENT: Final = Operation(
    name="commitments.of",
    summary="The commitment of a hotkey",
    params=HotkeyParams,
    reply=Commitment,
    path="/block/latest/commitments/{hotkey}",
)
OWN_COMMITMENT: Final = Operation(
    name="commitments.self",
    summary="The commitment of the identity's hotkey",
    params=NoParams,
    reply=Commitment,
    path="/block/latest/commitments/self",
    identity_only=True,
)
TYPED_COMMITMENTS: Final = Operation(
    name="commitments.typed.latest",
    summary="All commitments of a subnet, plain data and timelock-encrypted",
    params=NoParams,
    reply=SubnetTypedCommitments,
    path="/block/latest/commitments/typed",
)
TYPED_COMMITMENT: Final = Operation(
    name="commitments.typed.of",
    summary="The commitment of a hotkey, plain data or timelock-encrypted",
    params=HotkeyParams,
    reply=HotkeyTypedCommitment,
    path="/block/latest/commitments/typed/{hotkey}",
)
OWN_TYPED_COMMITMENT: Final = Operation(
    name="commitments.typed.self",
    summary="The commitment of the identity's hotkey, plain data or timelock-encrypted",
    params=NoParams,
    reply=HotkeyTypedCommitment,
    path="/block/latest/commitments/typed/self",
    identity_only=True,
)
REVEALED_COMMITMENTS: Final = Operation(
    name="commitments.revealed.latest",
    summary="The revealed commitments of a subnet",
    params=NoParams,
    reply=SubnetRevealedCommitments,
    path="/block/latest/commitments/revealed",
)
REVEALED_COMMITMENTS_OF: Final = Operation(
    name="commitments.revealed.of",
    summary="The revealed commitments of a hotkey",
    params=HotkeyParams,
    reply=HotkeyRevealedCommitments,
    path="/block/latest/commitments/revealed/{hotkey}",
)
OWN_REVEALED_COMMITMENTS: Final = Operation(
    name="commitments.revealed.self",
    summary="The revealed commitments of the identity's hotkey",
    params=NoParams,
    reply=HotkeyRevealedCommitments,
    path="/block/latest/commitments/revealed/self",
    identity_only=True,
)
CERTIFICATES: Final = Operation(
    name="certificates.latest",
    summary="The certificates of a subnet's neurons",
    params=NoParams,
    reply=SubnetCertificates,
    path="/block/latest/certificates",
)
CERTIFICATE: Final = Operation(
    name="certificates.of",
    summary="The certificate of a hotkey",
    params=HotkeyParams,
    reply=NeuronCertificate,
    path="/block/latest/certificates/{hotkey}",
)
OWN_CERTIFICATE: Final = Operation(
    name="certificates.self",
    summary="The certificate of the identity's hotkey",
    params=NoParams,
    reply=NeuronCertificate,
    path="/block/latest/certificates/self",
    identity_only=True,
)
LATEST_HYPERPARAMETERS: Final = Operation(
    name="hyperparameters.latest",
    summary="The hyperparameters of a subnet at the latest block",
    params=NoParams,
    reply=SubnetHyperparameters,
    path="/block/latest/hyperparameters",
)
HYPERPARAMETERS_AT: Final = Operation(
    name="hyperparameters.at",
    summary="The hyperparameters of a subnet at a block",
    params=BlockParams,
    reply=SubnetHyperparameters,
    path="/block/{block_number}/hyperparameters",
)
LATEST_PRICE: Final = Operation(
    name="price.latest",
    summary="The price of a subnet's alpha at the latest block",
    params=NoParams,
    reply=SubnetPrice,
    path="/block/latest/price",
)
PRICE_AT: Final = Operation(
    name="price.at",
    summary="The price of a subnet's alpha at a block",
    params=BlockParams,
    reply=SubnetPrice,
    path="/block/{block_number}/price",
)
LATEST_PRICES: Final = Operation(
    name="prices.latest",
    summary="The price of every subnet's alpha at the latest block",
    params=NoParams,
    reply=SubnetPrices,
    path="/block/latest/prices",
    per_subnet=False,
)
PRICES_AT: Final = Operation(
    name="prices.at",
    summary="The price of every subnet's alpha at a block",
    params=BlockParams,
    reply=SubnetPrices,
    path="/block/{block_number}/prices",
    per_subnet=False,
)
EVM_ASSOCIATIONS: Final = Operation(
    name="evm_associations.latest",
    summary="The EVM addresses of a subnet's neurons",
    params=NoParams,
    reply=SubnetEvmAssociations,
    path="/block/latest/evm_associations",
)
EXTRINSIC: Final = Operation(
    name="extrinsic.at",
    summary="One extrinsic of a block, decoded",
    params=ExtrinsicParams,
    reply=Extrinsic,
    path="/block/{block_number}/extrinsic/{extrinsic_index}",
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
IDENTITIES: Final = Operation(
    name="identities",
    summary="The identities of this service and their subnets",
    params=NoParams,
    reply=Identities,
    path="/identities",
    per_subnet=False,
)
WEIGHTS_STATUS: Final = Operation(
    name="weights.status",
    summary="Whether the identity's weights were accepted, or are set, in the epoch of a block",
    params=WeightsStatusParams,
    reply=WeightsStatus,
    path="/mechanism/{mechanism_id}/block/{block_number}/weights/status",
    identity_only=True,
    immutable_at_block=False,
)

READ_OPERATIONS: Final = tuple(
    cast("Operation[Any, BaseModel]", value)
    for value in list(globals().values())
    if isinstance(value, Operation)
)
"""The operations of this module, in the order of their definition."""
