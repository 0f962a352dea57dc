"""Check of this user's access to state folders, with errors that name their owner."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path


def require_access(paths: Iterable[Path]) -> None:
    """Check that files, and folders with all their contents, are readable and writable.

    A missing path passes.

    Raises:
        OSError: a path is not accessible; the text names both users and the remedy.
    """
    for path in paths:
        require_path_access(path)
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                require_path_access(Path(folder, name))


def require_path_access(path: Path) -> None:
    """Check that one file or folder is readable and writable; a missing path passes.

    Raises:
        OSError: as for `require_access`.
    """
    try:
        owner = path.lstat().st_uid
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError:
        require_path_access(path.parent)
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
        f"or change the owner of all files",
    )
