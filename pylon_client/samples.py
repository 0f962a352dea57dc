"""Sample blocks and neurons for tests; part of `pylon_client.testing`."""

from hashlib import blake2b
from ipaddress import IPv4Address
from typing import Any

from pylon_client.contract.models import (
    AxonInfo,
    AxonProtocol,
    Block,
    BlockInfo,
    Neuron,
    Stakes,
    SubnetNeurons,
)
from pylon_client.contract.ss58 import ss58_address
from pylon_client.contract.types import (
    AlphaStake,
    BlockHash,
    BlockNumber,
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

_SECONDS_PER_BLOCK = 12


def sample_block(number: int = 100) -> Block:
    """Return a block whose hash is derived from its number."""
    return Block(number=BlockNumber(number), hash=BlockHash(f"0x{number:064x}"))


def sample_block_info(number: int = 100) -> BlockInfo:
    """Return a block with a timestamp twelve seconds after the block before it."""
    timestamp = Timestamp(1_700_000_000 + number * _SECONDS_PER_BLOCK)
    return BlockInfo(**sample_block(number).model_dump(), timestamp=timestamp)


def sample_neuron(uid: int = 0, **fields: Any) -> Neuron:
    """Return a serving neuron with stake.

    Args:
        uid: the neuron's uid; its keys, which are valid ss58 addresses, and its IP address are
            derived from it.
        fields: other values of fields of `Neuron`.
    """
    neuron = Neuron(
        uid=NeuronUid(uid),
        coldkey=Coldkey(_address(f"coldkey-{uid}")),
        hotkey=Hotkey(_address(f"hotkey-{uid}")),
        active=NeuronActive(True),
        axon_info=AxonInfo(
            ip=IPv4Address("192.0.2.0") + uid % 256, port=Port(8091), protocol=AxonProtocol.HTTP
        ),
        stake=Stake(1000.0),
        rank=Rank(0.5),
        emission=Emission(1.0),
        incentive=Incentive(0.5),
        consensus=Consensus(0.5),
        trust=Trust(0.5),
        validator_trust=ValidatorTrust(0.0),
        dividends=Dividends(0.0),
        last_update=Timestamp(90),
        validator_permit=ValidatorPermit(False),
        pruning_score=PruningScore(uid),
        stakes=Stakes(alpha=AlphaStake(900.0), tao=TaoStake(500.0), total=TotalStake(990.0)),
    )
    return neuron.model_copy(update=fields)


def sample_neurons(count: int = 3, block_number: int = 100) -> SubnetNeurons:
    """Return a subnet's neurons at a block, with uids from 0."""
    neurons = (sample_neuron(uid) for uid in range(count))
    return SubnetNeurons(
        block=sample_block(block_number), neurons={neuron.hotkey: neuron for neuron in neurons}
    )


def _address(name: str) -> str:
    """Return a valid address whose private key is unknown."""
    return ss58_address(blake2b(name.encode(), digest_size=32).digest())
