"""SCALE encodings for metadata and block headers.

`pylon_devnet.codec` encodes all types of the metadata. This module exists because the metadata
itself must be encoded before a codec can be created.
"""

from collections.abc import Iterable


def encode_compact(value: int) -> bytes:
    """Encode an unsigned integer of any size as a SCALE compact integer."""
    if value < 1 << 6:
        return bytes([value << 2])
    if value < 1 << 14:
        return (value << 2 | 1).to_bytes(2, "little")
    if value < 1 << 30:
        return (value << 2 | 2).to_bytes(4, "little")
    body = value.to_bytes((value.bit_length() + 7) // 8, "little")
    return bytes([(len(body) - 4) << 2 | 3]) + body


def decode_compact(data: bytes, offset: int) -> tuple[int, int]:
    """Decode the compact integer at `offset`; return it and the next offset.

    Raises:
        ValueError: the data ends too early.
    """
    if offset >= len(data):
        raise ValueError("the data ends where a compact integer should be")
    mode = data[offset] & 3
    width = (1, 2, 4)[mode] if mode < 3 else (data[offset] >> 2) + 5  # noqa: PLR2004 - 3 = big
    if offset + width > len(data):
        raise ValueError("the data ends inside a compact integer")
    if mode < 3:  # noqa: PLR2004 - 3 = big
        return int.from_bytes(data[offset : offset + width], "little") >> 2, offset + width
    return int.from_bytes(data[offset + 1 : offset + width], "little"), offset + width


def encode_vector(items: Iterable[bytes]) -> bytes:
    """Encode a vector of already encoded items."""
    encoded = list(items)
    return encode_compact(len(encoded)) + b"".join(encoded)


def encode_bytes(data: bytes) -> bytes:
    """Encode bytes with their length prefix, as `Vec<u8>`."""
    return encode_compact(len(data)) + data


def encode_str(value: str) -> bytes:
    """Encode a string."""
    return encode_bytes(value.encode())


def encode_option(encoded: bytes | None) -> bytes:
    """Encode an already encoded value, or None, as an `Option`."""
    return b"\x00" if encoded is None else b"\x01" + encoded


def encode_u32(value: int) -> bytes:
    """Encode a little-endian u32."""
    return value.to_bytes(4, "little")
