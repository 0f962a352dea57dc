"""Neurons and validators."""

from ipaddress import IPv4Address, IPv6Address

from pylon_client.contract.models.base import BittensorModel, Collection, OpenEnum
from pylon_client.contract.types import (
    AlphaStake,
    Coldkey,
    Consensus,
    Dividends,
    Emission,
    Hotkey,
    Incentive,
    NeuronActive,
    NeuronUid,
    Port,
    PruningScore,
    Rank,
    Stake,
    TaoStake,
    Timestamp,
    TotalStake,
    Trust,
    ValidatorPermit,
    ValidatorTrust,
)


class AxonProtocol(OpenEnum):
    """The protocol of a neuron's axon; unknown numbers are accepted."""

    TCP = 0
    UDP = 1
    HTTP = 4


class AxonInfo(BittensorModel):
    """The address that a neuron has announced."""

    ip: IPv4Address | IPv6Address
    port: Port
    protocol: AxonProtocol

    @property
    def is_serving(self) -> bool:
        """Return whether the neuron has announced an address; a zero address means no."""
        return not self.ip.is_unspecified


class Stakes(BittensorModel):
    """A neuron's stake in its subnet, in tokens.

    `total` is the chain's weight of a validator: alpha plus root TAO times the subnet's TAO weight.
    """

    alpha: AlphaStake
    tao: TaoStake
    total: TotalStake


class Neuron(BittensorModel):
    """One registered neuron of a subnet, as reported by the chain's runtime.

    `stake` and `emission` are tokens; `rank`, `incentive`, `consensus`, `trust`,
    `validator_trust` and `dividends` are shares between 0 and 1; `last_update` is the number
    of the block of the last weights; `pruning_score` is the chain's raw u16.
    """

    uid: NeuronUid
    coldkey: Coldkey
    hotkey: Hotkey
    active: NeuronActive
    axon_info: AxonInfo
    stake: Stake
    rank: Rank
    emission: Emission
    incentive: Incentive
    consensus: Consensus
    trust: Trust
    validator_trust: ValidatorTrust
    dividends: Dividends
    last_update: Timestamp
    validator_permit: ValidatorPermit
    pruning_score: PruningScore
    stakes: Stakes


class SubnetNeurons(Collection):
    """Every neuron of one subnet at one block, by hotkey, sorted by uid."""

    neurons: dict[Hotkey, Neuron]


class SubnetValidators(Collection):
    """The neurons of one subnet with a validator permit, by descending total stake."""

    validators: list[Neuron]
