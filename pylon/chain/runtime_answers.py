"""Answers of runtime APIs that are not decoded yet."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pylon.chain.answer_types import FieldsCodec, RecordCodec

_FIXED_BYTES = 64
"""Number of bytes by which a record is found: most types start with keys of accounts."""


@dataclass(frozen=True, eq=False)
class RuntimeAnswer:
    """An answer of a runtime API that is not decoded yet.

    Attributes:
        data: the SCALE bytes.
        codec: the codec of the block's runtime; another codec may give the same bytes another
            meaning.
        decode: returns the decoded value.
        parts: the codec of a record if the answer is a list, or of the fields if it is a struct;
            None if the runtime declares neither.
    """

    data: bytes
    codec: object
    decode: Callable[[], Any]
    parts: RecordCodec | FieldsCodec | None = None

    @cached_property
    def digest(self) -> bytes:
        """Return the SHA-256 digest of the bytes."""
        return hashlib.sha256(self.data).digest()


def split_list(data: bytes, known: Sequence[bytes]) -> list[bytes] | None:
    """Return the encoded records of an encoded list, by means of an earlier list.

    A record that starts with the bytes of a known record is that record, because the bytes of a
    SCALE value tell where it ends. A changed record ends where the next known one starts, which is
    found by its first bytes: such a record is only right if it decodes from exactly its bytes.

    Args:
        data: SCALE bytes of a list.
        known: encoded records of an earlier list, in order, each of which was decoded.

    Returns:
        As many records as there are known ones, some of which are the same objects; None if the
        list cannot be split in this way.
    """
    count, position = _compact(data)
    if count != len(known):
        return None
    found: list[bytes] = []
    for index, record in enumerate(known, 1):
        if data.startswith(record, position):
            position += len(record)
            found.append(record)
            continue
        end = len(data)
        if index < count:
            end = data.find(known[index][:_FIXED_BYTES], position + 1)
            if end < 0:
                return None
        found.append(data[position:end])
        position = end
    return found if position == len(data) else None


def encode_records(data: bytes, records: Sequence[Any], codec: RecordCodec) -> list[bytes] | None:
    """Return the encoded records of a decoded list, or None if they are not the list's bytes."""
    count, position = _compact(data)
    encoded = [codec.encode(record) for record in records]
    return encoded if count == len(records) and data[position:] == b"".join(encoded) else None


def _compact(data: bytes) -> tuple[int, int]:
    """Return the number that SCALE bytes start with, and its length; -1 for a number above 2**30.

    Source: the compact integers of https://docs.polkadot.com/polkadot-protocol/parachain-basics/data-encoding
    """
    size = (1, 2, 4, 0)[data[0] & 3] if data else 0
    if not 0 < size <= len(data):
        return -1, 0
    return int.from_bytes(data[:size], "little") >> 2, size
