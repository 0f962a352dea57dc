"""Exclusive use of a devnet's state folder."""

import errno
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

LOCK_FILE: Final = "lock"
"""Name of the lock's file in the state folder."""


class StateFolderLock:
    """A lock on a state folder, held until `release` or the end of the process.

    Args:
        folder: the state folder, which must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._fd: int | None = None

    def acquire(self) -> None:
        """Acquire the lock.

        Raises:
            OSError: EBUSY if another devnet holds the lock; otherwise the folder is not writable.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise OSError(errno.EBUSY, "another devnet runs there") from None
        self._fd = fd

    def release(self) -> None:
        """Release the lock if it is held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def require_writable(paths: Iterable[Path]) -> None:
    """Raise unless this user may read and write all existing paths.

    Args:
        paths: files and folders; missing ones are ignored.

    Raises:
        OSError: EACCES; the text names both users if the path belongs to another user.
    """
    for path in paths:
        _require_writable(path)


def _require_writable(path: Path) -> None:
    try:
        owner = path.lstat().st_uid
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError:
        _require_writable(path.parent)
        raise
    needed = os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)
    if path.is_symlink() or os.access(path, needed):
        return
    user = os.geteuid()
    if owner == user:
        raise OSError(errno.EACCES, f"{path} is not readable and writable")
    raise OSError(
        errno.EACCES,
        f"{path} belongs to user {owner} and this process is user {user}: run it as user {owner}, "
        "or change the owner of all files",
    )
