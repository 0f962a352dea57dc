"""Store the output of processes in the folder of their test until the end of the session.

`tests/conftest.py` then searches it for secrets.
"""

import os
from pathlib import Path
from typing import BinaryIO

NAME = "process-output"


def open_output(folder: Path | None) -> BinaryIO:
    """Open the output file of a folder to append to it; without a folder, discard the output."""
    return (Path(os.devnull) if folder is None else folder / NAME).open("ab")


def append_output(folder: Path, output: bytes) -> None:
    """Append output to the file of a folder."""
    with open_output(folder) as file:
        file.write(output)
