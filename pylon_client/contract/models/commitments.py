"""What neurons have committed to the chain: as hexadecimal data, sealed by time, or revealed."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from pylon_client.contract.models.base import BittensorModel, Block, Collection
from pylon_client.contract.types import BlockNumber, CommitmentHex, Hotkey, RevealRound


class SubnetCommitments(Collection):
    """The commitments of a subnet that are data, by hotkey; sealed ones are not among them."""

    commitments: dict[Hotkey, CommitmentHex]


class Commitment(BittensorModel):
    """One hotkey's commitment that is data, and the block it was made in."""

    block: Block
    hotkey: Hotkey
    commitment: CommitmentHex
    commitment_block_number: BlockNumber


class CommitmentKind(StrEnum):
    """In which form a commitment stands on the chain."""

    HEX_DATA = "hex_data"
    TIMELOCK_ENCRYPTED = "timelock_encrypted"


class HexDataCommitment(BittensorModel):
    """A commitment whose data anybody can read."""

    kind: Literal[CommitmentKind.HEX_DATA] = CommitmentKind.HEX_DATA
    commitment_block_number: BlockNumber
    hotkey: Hotkey
    commitment: CommitmentHex


class TimelockEncryptedCommitment(BittensorModel):
    """A sealed commitment: ciphertext that drand's `reveal_round` opens.

    Attributes:
        reveal_failed: whether the chain could not open it when its round came.
    """

    kind: Literal[CommitmentKind.TIMELOCK_ENCRYPTED] = CommitmentKind.TIMELOCK_ENCRYPTED
    commitment_block_number: BlockNumber
    hotkey: Hotkey
    commitment: CommitmentHex
    reveal_round: RevealRound
    reveal_failed: bool = False


TypedCommitment = Annotated[
    HexDataCommitment | TimelockEncryptedCommitment, Field(discriminator="kind")
]


class SubnetTypedCommitments(Collection):
    """All commitments of a subnet in the form they stand on the chain, by hotkey."""

    commitments: dict[Hotkey, TypedCommitment]


class HotkeyTypedCommitment(BittensorModel):
    """One hotkey's commitment in the form it stands on the chain."""

    block: Block
    commitment: TypedCommitment


class RevealedCommitment(BittensorModel):
    """What a sealed commitment turned out to be, and the block in which the chain opened it."""

    reveal_block_number: BlockNumber
    hotkey: Hotkey
    commitment: str


class SubnetRevealedCommitments(Collection):
    """The revealed commitments of a subnet, by hotkey, the oldest first."""

    commitments: dict[Hotkey, list[RevealedCommitment]]


class HotkeyRevealedCommitments(Collection):
    """The revealed commitments of one hotkey, the oldest first."""

    commitments: list[RevealedCommitment]
