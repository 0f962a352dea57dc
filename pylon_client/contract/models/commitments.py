"""Commitments of neurons: plain data, timelock-encrypted, or revealed."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from pylon_client.contract.models.base import BittensorModel, Block, Collection
from pylon_client.contract.types import BlockNumber, CommitmentHex, Hotkey, RevealRound


class SubnetCommitments(Collection):
    """The commitments of a subnet that are plain data, by hotkey."""

    commitments: dict[Hotkey, CommitmentHex]


class Commitment(BittensorModel):
    """One hotkey's commitment of plain data, and the block of the commitment."""

    block: Block
    hotkey: Hotkey
    commitment: CommitmentHex
    commitment_block_number: BlockNumber


class CommitmentKind(StrEnum):
    """The form of a commitment on the chain."""

    HEX_DATA = "hex_data"
    TIMELOCK_ENCRYPTED = "timelock_encrypted"


class HexDataCommitment(BittensorModel):
    """A commitment of plain data."""

    kind: Literal[CommitmentKind.HEX_DATA] = CommitmentKind.HEX_DATA
    commitment_block_number: BlockNumber
    hotkey: Hotkey
    commitment: CommitmentHex


class TimelockEncryptedCommitment(BittensorModel):
    """A timelock-encrypted commitment; the chain decrypts it at drand's `reveal_round`.

    Attributes:
        reveal_failed: whether the chain could not decrypt it at that round.
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
    """All commitments of a subnet, by hotkey, in their form on the chain."""

    commitments: dict[Hotkey, TypedCommitment]


class HotkeyTypedCommitment(BittensorModel):
    """One hotkey's commitment in its form on the chain."""

    block: Block
    commitment: TypedCommitment


class RevealedCommitment(BittensorModel):
    """A revealed commitment, and the block in which the chain revealed it."""

    reveal_block_number: BlockNumber
    hotkey: Hotkey
    commitment: str


class SubnetRevealedCommitments(Collection):
    """The revealed commitments of a subnet, by hotkey, oldest first."""

    commitments: dict[Hotkey, list[RevealedCommitment]]


class HotkeyRevealedCommitments(Collection):
    """The revealed commitments of one hotkey, oldest first."""

    commitments: list[RevealedCommitment]
