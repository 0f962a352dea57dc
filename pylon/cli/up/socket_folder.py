"""Folder of the Unix sockets between the processes of `pylon up`."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pylon.cli.up.up_options import UpError


@contextmanager
def socket_folder() -> Generator[Path]:
    """Create a private temporary folder within the block.

    It is not in the home: the path of a Unix socket has at most 107 bytes, and not all container
    volumes support sockets.

    Raises:
        UpError: the folder for temporary files is not writable.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="pylon-")
    except OSError as error:
        raise UpError(
            f"cannot write to a folder for temporary files ({error.strerror}); set TMPDIR"
        ) from None
    with folder as path:
        yield Path(path)
