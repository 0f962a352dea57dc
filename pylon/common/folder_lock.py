"""Exclusive use of a folder by one process."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Final

LOCK_FILE: Final = "lock"


class FolderLock:
    """A lock file in a folder, held until it is released or the last process that holds it ends.

    Args:
        folder: contains the lock file; code that empties the folder must keep the file.
        holder: name of the other holder, for the error text.
    """

    def __init__(self, folder: Path, holder: str = "another embedded NATS") -> None:
        self._path = folder / LOCK_FILE
        self._holder = holder
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """Return the file descriptor that a child inherits to hold the lock too."""
        assert self._fd is not None, "it is not held"  # noqa: S101 -- a bug of the caller
        return self._fd

    def acquire(self) -> None:
        """Acquire the lock.

        Raises:
            OSError: another process holds it, or the folder is not writable.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise OSError(errno.EBUSY, f"{self._holder} runs there") from None
        self._fd = fd

    def release(self) -> None:
        """Release the lock; without it, do nothing."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
