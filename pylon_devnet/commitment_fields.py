"""The fields of a commitment as signed bytes: decoding and encoding would not restore them."""

from collections.abc import Sequence
from dataclasses import dataclass

from pylon_devnet.runtime.scale_encoding import decode_compact, encode_compact

TIMELOCK_ENCRYPTED = 134
RESET_BONDS_FLAG = 135
TIMELOCK_REVEAL_FAILED = 137
"""Indexes of variants of `pallet_commitments::types::Data`."""

_RAW_LAST = 129
_HASHES = range(130, 134)
_HASH_BYTES = 32
_ROUND_BYTES = 8
_WITH_ROUND = (TIMELOCK_ENCRYPTED, TIMELOCK_REVEAL_FAILED)


@dataclass(frozen=True, slots=True)
class DataField:
    """One field.

    Attributes:
        kind: index of the variant.
        data: the bytes that count towards the hotkey's space limit.
        raw: SCALE bytes of the field.
        reveal_round: drand round at which timelocked data can be decrypted; 0 for other kinds.
    """

    kind: int
    data: bytes
    raw: bytes
    reveal_round: int = 0

    def failed(self) -> "DataField":
        """Return the field as the chain stores it after a failed reveal."""
        raw = bytes([TIMELOCK_REVEAL_FAILED]) + self.raw[1:]
        return DataField(TIMELOCK_REVEAL_FAILED, self.data, raw, self.reveal_round)


def read_fields(info: bytes) -> list[DataField]:
    """Return the fields of an encoded `CommitmentInfo`."""
    count, offset = decode_compact(info, 0)
    fields: list[DataField] = []
    for _ in range(count):
        field = _read_field(info, offset)
        fields.append(field)
        offset += len(field.raw)
    return fields


def write_fields(fields: Sequence[DataField]) -> bytes:
    """Return an encoded `CommitmentInfo`."""
    return encode_compact(len(fields)) + b"".join(field.raw for field in fields)


def _read_field(info: bytes, start: int) -> DataField:
    kind, begin = info[start], start + 1
    if kind <= _RAW_LAST:
        size = max(0, kind - 1)
    elif kind in _HASHES:
        size = _HASH_BYTES
    elif kind == RESET_BONDS_FLAG:
        size = 0
    else:
        size, begin = decode_compact(info, begin)
    end = begin + size
    data, reveal_round = info[begin:end], 0
    if kind in _WITH_ROUND:
        reveal_round = int.from_bytes(info[end : end + _ROUND_BYTES], "little")
        end += _ROUND_BYTES
    return DataField(kind, data, info[start:end], reveal_round)
