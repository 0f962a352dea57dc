"""Files that hold secrets: whole or not there, and for this user alone from the first byte on."""

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Put a text into a file with mode 0600; a reader sees the old one or the new one."""
    unready = path.with_name(f"{path.name}.new")
    unready.unlink(missing_ok=True)
    with open(os.open(unready, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 -- the mode must hold from the first byte on
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unready.replace(path)
