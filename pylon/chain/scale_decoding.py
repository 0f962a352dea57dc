"""Reading SCALE bytes where the SDK's decoding would lose some of them.

The SDK shows a byte vector as text where it happens to be valid UTF-8 and as `0x…` otherwise, so
that the text `0xff` and the byte 255 look alike.
"""

from typing import Final

_BIG: Final = 3
"""The mode of a compact number that says first how many bytes it has."""


class Scale:
    """Reads values one after the other.

    Every method raises ValueError where the bytes end too soon.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise ValueError(f"{count} bytes expected at {self._at} of {len(self._data)}")
        taken, self._at = self._data[self._at : end], end
        return taken

    def unsigned(self, size_bytes: int) -> int:
        """The next number of a fixed size, such as 8 for a u64."""
        return int.from_bytes(self.take(size_bytes), "little")

    def compact(self) -> int:
        """The next number of the size that it needs."""
        first = self.unsigned(1)
        mode = first & 0b11
        if mode == _BIG:
            return self.unsigned((first >> 2) + 4)
        rest = self.take((1 << mode) - 1)
        return int.from_bytes(bytes([first]) + rest, "little") >> 2

    def octets(self) -> bytes:
        """The next vector of bytes."""
        return self.take(self.compact())

    def end(self) -> None:
        """Return if nothing is left.

        Raises:
            ValueError: there is.
        """
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes are left over")


def hex_of(data: bytes) -> str:
    """Bytes as 0x and hexadecimal digits."""
    return f"0x{data.hex()}"


def text_of(data: bytes) -> str:
    """Bytes as text where they are UTF-8, else as 0x and hexadecimal digits."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return hex_of(data)
