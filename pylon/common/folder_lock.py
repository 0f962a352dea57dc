"""A folder that one process at a time may use."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Final

LOCK_FILE: Final = "lock"


class FolderLock:
    """A lock in a folder, held until it is let go or the last process that has it ends.

    Args:
        folder: where the lock's file is; whoever empties the folder must leave it there.
        holder: what holds it, in the error of the second one.
    """

    def __init__(self, folder: Path, holder: str = "another embedded NATS") -> None:
        self._path = folder / LOCK_FILE
        self._holder = holder
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """What a child inherits that is to hold the lock too."""
        assert self._fd is not None, "it is not held"  # noqa: S101 -- a mistake of ours
        return self._fd

    def acquire(self) -> None:
        """Hold the lock from now on.

        Raises:
            OSError: another process holds it, or the folder cannot be written; its text says which.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise OSError(errno.EBUSY, f"{self._holder} runs there") from None
        self._fd = fd

    def release(self) -> None:
        """Hold it no longer."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
