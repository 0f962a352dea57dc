"""Commitments of hotkeys, byte for byte, and revealed commitments.

The layouts are defined in `pallet_commitments::types` (`Registration`, `CommitmentInfo`, `Data`) of
runtime 424; the variant `TimelockRevealFailed` exists since spec 446. Data with another layout is
skipped.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from pylon.chain.queries.storage_maps import HotkeyStorageMap, read_hotkey_entries
from pylon.chain.query import Query
from pylon.chain.scale_decoding import ScaleReader, to_hex, to_text
from pylon.chain.sdk_types import Sdk
from pylon_client.contract.models import (
    Block,
    HexDataCommitment,
    RevealedCommitment,
    SubnetRevealedCommitments,
    SubnetTypedCommitments,
    TimelockEncryptedCommitment,
    TypedCommitment,
)
from pylon_client.contract.types import BlockNumber, CommitmentHex, Hotkey, NetUid, RevealRound

COMMITMENT_OF: Final = HotkeyStorageMap(
    "Commitments.CommitmentOf",
    bytes.fromhex("ca407206ec1ab726b2636c4b145ac287419a60ae8b01e6dcaebd7317e43c69bf"),
)
REVEALED_COMMITMENTS: Final = HotkeyStorageMap(
    "Commitments.RevealedCommitments",
    bytes.fromhex("ca407206ec1ab726b2636c4b145ac2879055a2cffd4b296f38f2de8d9b333cab"),
)

_DEPOSIT_BYTES: Final = 8
_BLOCK_BYTES: Final = 4
_ROUND_BYTES: Final = 8
_REVEAL_BLOCK_BYTES: Final = 8
_HASH_BYTES: Final = 32


class _DataKind(IntEnum):
    """The variants of `Data`; those between `NONE` and `BLAKE_TWO_256` are raw data by length."""

    NONE = 0
    RAW_0 = 1
    RAW_128 = 129
    BLAKE_TWO_256 = 130
    SHA_THREE_256 = 133
    TIMELOCK_ENCRYPTED = 134
    RESET_BONDS_FLAG = 135
    BIG_RAW = 136
    TIMELOCK_REVEAL_FAILED = 137


@dataclass(frozen=True, slots=True)
class _TimelockedField:
    data: bytes
    reveal_round: int
    reveal_failed: bool


@dataclass(frozen=True, slots=True)
class Commitments(Query[SubnetTypedCommitments]):
    """All commitments of a subnet, including commitments of deregistered hotkeys."""

    netuid: NetUid

    async def execute(self, sdk: Sdk, block: Block) -> SubnetTypedCommitments:
        """Return all commitments of a subnet in the form in which the chain stores them."""
        values, skipped = await read_hotkey_entries(
            sdk, COMMITMENT_OF, self.netuid, block, _decode_commitment
        )
        return SubnetTypedCommitments(block=block, commitments=values, skipped=skipped)


@dataclass(frozen=True, slots=True)
class RevealedCommitments(Query[SubnetRevealedCommitments]):
    """All revealed commitments of a subnet."""

    netuid: NetUid

    async def execute(self, sdk: Sdk, block: Block) -> SubnetRevealedCommitments:
        """Return all revealed commitments of a subnet, the oldest first."""
        values, skipped = await read_hotkey_entries(
            sdk, REVEALED_COMMITMENTS, self.netuid, block, _decode_revealed
        )
        return SubnetRevealedCommitments(block=block, commitments=values, skipped=skipped)


def _decode_commitment(hotkey: Hotkey, scale: ScaleReader) -> TypedCommitment:
    scale.read_bytes(_DEPOSIT_BYTES)
    commitment_block = BlockNumber(scale.read_uint(_BLOCK_BYTES))
    fields = [_decode_field(scale) for _ in range(scale.read_compact())]
    timelocked = [field for field in fields if isinstance(field, _TimelockedField)]
    if timelocked:
        # The chain accepts several fields; the commitment is revealed when the last of them is.
        last = max(timelocked, key=lambda one: one.reveal_round)
        return TimelockEncryptedCommitment(
            commitment_block_number=commitment_block,
            hotkey=hotkey,
            commitment=CommitmentHex(to_hex(last.data)),
            reveal_round=RevealRound(last.reveal_round),
            reveal_failed=last.reveal_failed,
        )
    data = b"".join(field for field in fields if isinstance(field, bytes))
    return HexDataCommitment(
        commitment_block_number=commitment_block,
        hotkey=hotkey,
        commitment=CommitmentHex(to_hex(data)),
    )


def _decode_field(scale: ScaleReader) -> bytes | _TimelockedField:
    kind = scale.read_uint(1)
    if _DataKind.RAW_0 <= kind <= _DataKind.RAW_128:
        return scale.read_bytes(kind - _DataKind.RAW_0)
    if _DataKind.BLAKE_TWO_256 <= kind <= _DataKind.SHA_THREE_256:
        return scale.read_bytes(_HASH_BYTES)
    match kind:
        case _DataKind.NONE | _DataKind.RESET_BONDS_FLAG:
            return b""
        case _DataKind.TIMELOCK_ENCRYPTED | _DataKind.TIMELOCK_REVEAL_FAILED:
            data, reveal_round = scale.read_byte_vector(), scale.read_uint(_ROUND_BYTES)
            return _TimelockedField(data, reveal_round, kind == _DataKind.TIMELOCK_REVEAL_FAILED)
        case _DataKind.BIG_RAW:
            return scale.read_byte_vector()
        case _:
            raise ValueError(f"data of the unknown kind {kind}")


def _decode_revealed(hotkey: Hotkey, scale: ScaleReader) -> list[RevealedCommitment]:
    opened = [
        RevealedCommitment(
            commitment=_decode_plaintext(scale.read_byte_vector()),
            reveal_block_number=BlockNumber(scale.read_uint(_REVEAL_BLOCK_BYTES)),
            hotkey=hotkey,
        )
        for _ in range(scale.read_compact())
    ]
    return sorted(opened, key=lambda one: one.reveal_block_number)


def _decode_plaintext(data: bytes) -> str:
    """Return decrypted content as text if it is UTF-8, else in hexadecimal.

    Bittensor's tools encrypt a text with its length as a prefix, which is removed.
    """
    scale = ScaleReader(data)
    try:
        text = scale.read_byte_vector()
        scale.require_end()
    except ValueError:
        return to_text(data)
    return to_text(text)
