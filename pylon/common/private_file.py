"""Files with secrets: written atomically, and readable by this user only."""

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically with a text; the file has mode 0600 from the first byte on.

    Raises:
        OSError: the file cannot be written; no part of the text remains.
    """
    unready = path.with_name(f"{path.name}.new")
    unready.unlink(missing_ok=True)
    try:
        with open(os.open(unready, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 -- the mode must hold from the first byte on
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unready.replace(path)
    except BaseException:
        unready.unlink(missing_ok=True)
        raise
