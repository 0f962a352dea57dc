"""Hyperparameters, prices, EVM addresses and weights of subnets."""

from pylon_client.contract.models.base import BittensorModel, Block, Collection
from pylon_client.contract.types import AlphaPriceRao, BlockNumber, EvmAddress, Hotkey, NetUid


class SubnetHyperparameters(Collection):
    """A subnet's hyperparameters, by their names on the chain."""

    netuid: NetUid
    hyperparameters: dict[str, bool | int | float]


class AlphaPrice(BittensorModel):
    """The price of one alpha, in rao of TAO."""

    value: AlphaPriceRao


class SubnetPrice(BittensorModel):
    """The price of one subnet's alpha."""

    block: Block
    netuid: NetUid
    price: AlphaPrice


class SubnetPrices(Collection):
    """The price of every subnet's alpha, by netuid."""

    prices: dict[NetUid, AlphaPrice]


class EvmAssociation(BittensorModel):
    """The EVM address that a neuron has proven to own, and the block of the last proof."""

    hotkey: Hotkey
    evm_address: EvmAddress
    last_block_where_ownership_was_proven: BlockNumber


class SubnetEvmAssociations(Collection):
    """The EVM addresses of a subnet's neurons, by hotkey."""

    evm_associations: dict[Hotkey, EvmAssociation]


class WeightsStatus(BittensorModel):
    """The status of an identity's weights in the epoch of a block.

    Attributes:
        weights_submitted: whether weights were accepted for that epoch and have not failed, or are
            on the chain.
        weights_on_chain: whether the weights are on the chain at that block, set or timelocked.
    """

    weights_submitted: bool
    weights_on_chain: bool
