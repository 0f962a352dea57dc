"""Store the output of processes in the folder of their test until the end of the session.

`tests/conftest.py` then searches it for secrets.
"""

import os
from pathlib import Path

NAME = "process-output"


def output_path(folder: Path | None) -> Path:
    """Return the output file of a folder; without a folder, a file that discards the output."""
    return Path(os.devnull) if folder is None else folder / NAME


def append_output(folder: Path, output: bytes) -> None:
    """Append output to the file of a folder."""
    with output_path(folder).open("ab") as file:
        file.write(output)
