"""Decoding of SCALE data for which the SDK's decoding is ambiguous.

The SDK decodes a byte vector as text if it is valid UTF-8, and as `0x…` otherwise. So the text
`0xff` and the byte 255 cannot be distinguished.
"""

from typing import Final

_BIG_INTEGER_MODE: Final = 3
"""Mode of a compact integer that starts with its length in bytes."""


class ScaleReader:
    """Reads values from a byte string in their order.

    Every method raises ValueError if not enough bytes are left.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def read_bytes(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        end = self._offset + count
        if end > len(self._data):
            raise ValueError(f"{count} bytes expected at {self._offset} of {len(self._data)}")
        taken, self._offset = self._data[self._offset : end], end
        return taken

    def read_uint(self, size_bytes: int) -> int:
        """Return the next unsigned integer of a fixed size, such as 8 bytes for a u64."""
        return int.from_bytes(self.read_bytes(size_bytes), "little")

    def read_compact(self) -> int:
        """Return the next compact integer."""
        first = self.read_uint(1)
        mode = first & 0b11
        if mode == _BIG_INTEGER_MODE:
            return self.read_uint((first >> 2) + 4)
        rest = self.read_bytes((1 << mode) - 1)
        return int.from_bytes(bytes([first]) + rest, "little") >> 2

    def read_byte_vector(self) -> bytes:
        """Return the next byte vector."""
        return self.read_bytes(self.read_compact())

    def require_end(self) -> None:
        """Check that all bytes were read.

        Raises:
            ValueError: bytes are left.
        """
        if self._offset != len(self._data):
            raise ValueError(f"{len(self._data) - self._offset} bytes are left over")


def to_hex(data: bytes) -> str:
    """Return bytes as 0x and hexadecimal digits."""
    return f"0x{data.hex()}"


def to_text(data: bytes) -> str:
    """Return bytes as text if they are UTF-8, else as 0x and hexadecimal digits."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return to_hex(data)
