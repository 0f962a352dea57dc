"""The snapshots before the newest ones, bounded by their bytes."""

from typing import Final

from pylon_client.contract.models import Block

MAX_PAST_BYTES: Final = 16 * 1024 * 1024
"""Size of all past snapshots, in bytes: about 110 of 256 neurons each."""


class PastSnapshots:
    """The bodies of replaced snapshots by subject and block; the oldest ones are dropped.

    One thread may write while others read.

    Args:
        max_bytes: maximum size of all bodies.
    """

    def __init__(self, max_bytes: int = MAX_PAST_BYTES) -> None:
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._bodies: dict[tuple[str, str], bytes] = {}

    def put(self, subject: str, block: Block, body: bytes) -> None:
        """Store a snapshot, and drop the oldest ones above the limit."""
        key = (subject, block.hash)
        self._size_bytes += len(body) - len(self._bodies.pop(key, b""))
        self._bodies[key] = body
        while self._size_bytes > self._max_bytes:
            self._size_bytes -= len(self._bodies.pop(next(iter(self._bodies))))

    def get(self, subject: str, block: Block) -> bytes | None:
        """Return the body of a subject's snapshot at a block; None if it is not stored."""
        return self._bodies.get((subject, block.hash))
