"""Checks of the numbers that a node reports, before they are used.

A node may be faulty or malicious: a head of 4,000 hexadecimal digits is an integer that cannot be
formatted, converted to a float or used as an index. A number out of bounds is reported as a fault
of the node instead of a Python error.
"""

import re
from collections.abc import Mapping
from typing import Final, cast

from pylon_client.contract.types import MAX_BLOCK_NUMBER, BlockHash, BlockNumber

U16_MAX: Final = 2**16 - 1
U32_MAX: Final = 2**32 - 1
U64_MAX: Final = 2**64 - 1
MAX_TIMESTAMP_MS: Final = 7_258_118_400_000
"""Maximum timestamp of a block: the year 2200, in milliseconds since the Unix epoch."""
MIN_BLOCK_TIME_S: Final = 0.001
MAX_BLOCK_TIME_S: Final = 3_600.0

_HEX_PATTERN: Final = re.compile(r"0x[0-9a-fA-F]{1,16}")
_HASH_PATTERN: Final = re.compile(r"0x[0-9a-f]{64}")
_MAX_DISPLAY_BITS: Final = 64
_MAX_DISPLAY_CHARS: Final = 24


class ImplausibleError(Exception):
    """A node reported a value that cannot be true.

    Args:
        label: name of the value, such as "The number of a block".
        value: the reported value; shortened in the error text.
    """

    def __init__(self, label: str, value: object) -> None:
        super().__init__(f"{label} cannot be {_format_value(value)}")


def checked_int(value: object, label: str, *, maximum: int, minimum: int = 0) -> int:
    """Return `value` if it is an integer within the bounds.

    Args:
        value: the reported value.
        label: name of the value in the error text.
        maximum: largest valid value.
        minimum: smallest valid value.

    Raises:
        ImplausibleError: it is not an integer, or is out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise ImplausibleError(label, value)
    return value


def u16(value: object, label: str) -> int:
    """Return a 16-bit unsigned integer; raise as `checked_int` does."""
    return checked_int(value, label, maximum=U16_MAX)


def u64(value: object, label: str) -> int:
    """Return a 64-bit unsigned integer; raise as `checked_int` does."""
    return checked_int(value, label, maximum=U64_MAX)


def block_number(value: object, label: str = "The number of a block") -> BlockNumber:
    """Return a block number, 32 bits; raise as `checked_int` does."""
    return BlockNumber(checked_int(value, label, maximum=MAX_BLOCK_NUMBER))


def nonce(value: object) -> int:
    """Return the nonce of an account, 32 bits; raise as `checked_int` does."""
    return checked_int(value, "The nonce of an account", maximum=U32_MAX)


def timestamp_ms(value: object) -> int:
    """Return a timestamp in milliseconds since the Unix epoch; raise as `checked_int` does."""
    return checked_int(value, "The time of a block", maximum=MAX_TIMESTAMP_MS)


def block_time_s(value: float) -> float:
    """Return the block time in seconds.

    Raises:
        ImplausibleError: it is not between `MIN_BLOCK_TIME_S` and `MAX_BLOCK_TIME_S`.
    """
    if not MIN_BLOCK_TIME_S <= value <= MAX_BLOCK_TIME_S:
        raise ImplausibleError("The time per block", value)
    return value


def header_number(header: object) -> BlockNumber:
    """Return the block number of a JSON-RPC header, which contains it as hexadecimal text.

    Raises:
        ImplausibleError: it is not a header, or its number has too many digits.
    """
    number = cast("Mapping[str, object]", header).get("number") if _is_object(header) else header
    if not isinstance(number, str) or _HEX_PATTERN.fullmatch(number) is None:
        raise ImplausibleError("The number of a header", number)
    return block_number(int(number, 16))


def parent_hash(header: object) -> BlockHash:
    """Return the hash of a block's parent from its JSON-RPC header.

    Raises:
        ImplausibleError: it is not a header with a hash.
    """
    found = cast("Mapping[str, object]", header).get("parentHash") if _is_object(header) else header
    return block_hash(found)


def block_hash(value: object) -> BlockHash:
    """Return the hash of a block.

    Raises:
        ImplausibleError: it does not consist of 0x and 64 hexadecimal digits.
    """
    if not isinstance(value, str) or _HASH_PATTERN.fullmatch(value) is None:
        raise ImplausibleError("The hash of a block", value)
    return BlockHash(value)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _format_value(value: object) -> str:
    """Return a value as short text of printable characters."""
    if isinstance(value, int) and value.bit_length() > _MAX_DISPLAY_BITS:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return ascii(value[:_MAX_DISPLAY_CHARS]) + ("…" if len(value) > _MAX_DISPLAY_CHARS else "")
    return f"of the type {type(value).__name__}"
