"""Bounds of the numbers that a node reports, checked before a number is used.

A node may be broken, or lie: a head of 4,000 hexadecimal digits is an integer that no text, float
or index takes. A number out of bounds is a fault of the node, and never an error of Python's.
"""

import re
from collections.abc import Mapping
from typing import Final, cast

from pylon_client.contract.types import BLOCK_NUMBER_MAX, BlockHash, BlockNumber

U16_MAX: Final = 2**16 - 1
U32_MAX: Final = 2**32 - 1
U64_MAX: Final = 2**64 - 1
TIMESTAMP_MAX_MS: Final = 7_258_118_400_000
"""The year 2200, in milliseconds since the Unix epoch; the genesis block has the time 0."""
BLOCK_TIME_MIN_S: Final = 0.001
BLOCK_TIME_MAX_S: Final = 3_600.0

_HEX_PATTERN: Final = re.compile(r"0x[0-9a-fA-F]{1,16}")
_HASH_PATTERN: Final = re.compile(r"0x[0-9a-f]{64}")
_DISPLAY_MAX_BITS: Final = 64
_DISPLAY_MAX_CHARS: Final = 24


class ImplausibleError(Exception):
    """A node reported something that cannot be true.

    Args:
        label: was reported.
        value: as reported; shortened in the text.
    """

    def __init__(self, label: str, value: object) -> None:
        super().__init__(f"{label} cannot be {_format_value(value)}")


def checked_int(value: object, label: str, *, maximum: int, minimum: int = 0) -> int:
    """Return a number that is an integer within its bounds.

    Raises:
        ImplausibleError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise ImplausibleError(label, value)
    return value


def u16(value: object, label: str) -> int:
    """Return an integer of 16 bits; raise as `integer` does."""
    return checked_int(value, label, maximum=U16_MAX)


def u64(value: object, label: str) -> int:
    """Return an integer of 64 bits; raise as `integer` does."""
    return checked_int(value, label, maximum=U64_MAX)


def block_number(value: object, label: str = "The number of a block") -> BlockNumber:
    """Return a block number, which has 32 bits; raise as `integer` does."""
    return BlockNumber(checked_int(value, label, maximum=BLOCK_NUMBER_MAX))


def nonce(value: object) -> int:
    """Return the nonce of an account, which has 32 bits; raise as `integer` does."""
    return checked_int(value, "The nonce of an account", maximum=U32_MAX)


def timestamp_ms(value: object) -> int:
    """Return the time of a block in milliseconds since the Unix epoch; raise as `integer` does."""
    return checked_int(value, "The time of a block", maximum=TIMESTAMP_MAX_MS)


def block_time_s(value: float) -> float:
    """Return the seconds per block.

    Raises:
        ImplausibleError: no chain has blocks that short or long.
    """
    if not BLOCK_TIME_MIN_S <= value <= BLOCK_TIME_MAX_S:
        raise ImplausibleError("The time per block", value)
    return value


def header_number(header: object) -> BlockNumber:
    """Return the number of a header as JSON-RPC shows it: hexadecimal text.

    Raises:
        ImplausibleError: it is not a header, or its number has too many digits.
    """
    number = cast("Mapping[str, object]", header).get("number") if _is_object(header) else header
    if not isinstance(number, str) or _HEX_PATTERN.fullmatch(number) is None:
        raise ImplausibleError("The number of a header", number)
    return block_number(int(number, 16))


def block_hash(value: object) -> BlockHash:
    """Return the hash of a block.

    Raises:
        ImplausibleError: it is not 0x and 64 hexadecimal digits.
    """
    if not isinstance(value, str) or _HASH_PATTERN.fullmatch(value) is None:
        raise ImplausibleError("The hash of a block", value)
    return BlockHash(value)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _format_value(value: object) -> str:
    """Return a value as short text of printable characters."""
    if isinstance(value, int) and value.bit_length() > _DISPLAY_MAX_BITS:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return ascii(value[:_DISPLAY_MAX_CHARS]) + ("…" if len(value) > _DISPLAY_MAX_CHARS else "")
    return f"of the type {type(value).__name__}"
