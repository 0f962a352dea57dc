"""Types of the chain's numbers and strings, which type checkers distinguish."""

from enum import StrEnum
from typing import Annotated, NewType

from pydantic import Field

Hotkey = NewType("Hotkey", str)
"""The ss58 address of a neuron's hotkey."""
Coldkey = NewType("Coldkey", str)
"""The ss58 address of the key that owns stake and hotkeys."""
BlockHash = NewType("BlockHash", str)
"""0x and 64 hexadecimal digits."""
BlockNumber = NewType("BlockNumber", int)
ExtrinsicIndex = NewType("ExtrinsicIndex", int)
"""The index of an extrinsic in its block, from 0."""
NetUid = NewType("NetUid", int)
"""A subnet's number, 0 to 65535."""
NeuronUid = NewType("NeuronUid", int)
"""A neuron's slot in its subnet, 0 to 65535; slots are reused by other hotkeys."""
IdentityName = NewType("IdentityName", str)
PylonAuthToken = NewType("PylonAuthToken", str)
WalletName = NewType("WalletName", str)
HotkeyName = NewType("HotkeyName", str)

NeuronActive = NewType("NeuronActive", bool)
ValidatorPermit = NewType("ValidatorPermit", bool)
Port = NewType("Port", int)
Timestamp = NewType("Timestamp", int)

Weight = NewType("Weight", float)
Stake = NewType("Stake", float)
"""Tokens, not rao."""
AlphaStake = NewType("AlphaStake", float)
TaoStake = NewType("TaoStake", float)
TotalStake = NewType("TotalStake", float)
Emission = NewType("Emission", float)
Rank = NewType("Rank", float)
"""A share between 0 and 1."""
Trust = NewType("Trust", float)
ValidatorTrust = NewType("ValidatorTrust", float)
Consensus = NewType("Consensus", float)
Incentive = NewType("Incentive", float)
Dividends = NewType("Dividends", float)
PruningScore = NewType("PruningScore", int)

CommitmentHex = NewType("CommitmentHex", str)
"""0x and hexadecimal digits."""
CommitmentDataBytes = NewType("CommitmentDataBytes", bytes)
RevealRound = NewType("RevealRound", int)
"""A round of drand's quicknet."""
PublicKey = NewType("PublicKey", str)
PrivateKey = NewType("PrivateKey", str)
EvmAddress = NewType("EvmAddress", str)
AlphaPriceRao = NewType("AlphaPriceRao", int)
MechanismId = NewType("MechanismId", int)
"""The index of a subnet's mechanism; most subnets have only mechanism 0."""
JobId = NewType("JobId", str)
PublisherId = NewType("PublisherId", str)
"""A random id of a worker that publishes: 8 hexadecimal digits."""
Revision = NewType("Revision", int)
"""The revision of a stored value, which increases with every change."""


class JobKind(StrEnum):
    """The kind of data that a job writes to the chain."""

    WEIGHTS = "weights"
    COMMITMENT = "commitment"
    REVEALED_COMMITMENT = "revealed_commitment"
    CERTIFICATE = "certificate"


MAX_NETUID = 65_535
MAX_MECHANISM = 15
"""Weights of mechanism m of subnet n are stored at m * 4096 + n, which is a u16."""
MAX_BLOCK_NUMBER = 2**32 - 1

NetUidField = Annotated[NetUid, Field(ge=0, le=MAX_NETUID)]
"""A netuid in a request, validated as u16."""
BlockNumberField = Annotated[BlockNumber, Field(ge=0, le=MAX_BLOCK_NUMBER)]
"""A block number in a request, validated as u32."""
MechanismField = Annotated[MechanismId, Field(ge=0, le=MAX_MECHANISM)]
