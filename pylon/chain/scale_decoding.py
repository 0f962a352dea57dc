"""Reading SCALE bytes where the SDK's decoding would lose some of them.

The SDK shows a byte vector as text where it happens to be valid UTF-8 and as `0x…` otherwise, so
that the text `0xff` and the byte 255 look alike.
"""

from typing import Final

_BIG_INTEGER_MODE: Final = 3
"""The mode of a compact number that says first how many bytes it has."""


class ScaleReader:
    """Reads values one after the other.

    Every method raises ValueError where the bytes end too soon.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def read_bytes(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._offset + count
        if end > len(self._data):
            raise ValueError(f"{count} bytes expected at {self._offset} of {len(self._data)}")
        taken, self._offset = self._data[self._offset : end], end
        return taken

    def read_uint(self, size_bytes: int) -> int:
        """The next number of a fixed size, such as 8 for a u64."""
        return int.from_bytes(self.read_bytes(size_bytes), "little")

    def read_compact(self) -> int:
        """The next number of the size that it needs."""
        first = self.read_uint(1)
        mode = first & 0b11
        if mode == _BIG_INTEGER_MODE:
            return self.read_uint((first >> 2) + 4)
        rest = self.read_bytes((1 << mode) - 1)
        return int.from_bytes(bytes([first]) + rest, "little") >> 2

    def read_byte_vector(self) -> bytes:
        """The next vector of bytes."""
        return self.read_bytes(self.read_compact())

    def require_end(self) -> None:
        """Return if nothing is left.

        Raises:
            ValueError: there is.
        """
        if self._offset != len(self._data):
            raise ValueError(f"{len(self._data) - self._offset} bytes are left over")


def to_hex(data: bytes) -> str:
    """Bytes as 0x and hexadecimal digits."""
    return f"0x{data.hex()}"


def to_text(data: bytes) -> str:
    """Bytes as text where they are UTF-8, else as 0x and hexadecimal digits."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return to_hex(data)
