"""Neurons, and among them the validators."""

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
    """The protocol a neuron's axon announces; other numbers are kept as they are."""

    TCP = 0
    UDP = 1
    HTTP = 4


class AxonInfo(BittensorModel):
    """Where a neuron says it serves."""

    ip: IPv4Address | IPv6Address
    port: Port
    protocol: AxonProtocol

    @property
    def is_serving(self) -> bool:
        """Whether an address was ever announced; a zero address means no."""
        return not self.ip.is_unspecified


class Stakes(BittensorModel):
    """A neuron's stake in its subnet, in tokens.

    `total` is what the chain weighs a validator by: alpha plus root TAO times the subnet's
    TAO weight.
    """

    alpha: AlphaStake
    tao: TaoStake
    total: TotalStake


class Neuron(BittensorModel):
    """One registered neuron of a subnet, as the chain's runtime reports it.

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
    """Every neuron of one subnet at one block, by hotkey, in the order of their uids."""

    neurons: dict[Hotkey, Neuron]


class SubnetValidators(Collection):
    """The neurons of one subnet that hold a validator permit, by total stake, the largest first."""

    validators: list[Neuron]
