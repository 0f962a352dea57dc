"""The folder of the Unix sockets by which the processes of the tree meet."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pylon.cli.up.up_options import UpError


@contextmanager
def socket_folder() -> Generator[Path]:
    """Provide a private folder within the block.

    Not in the home: the path of a Unix socket has at most 107 bytes, and not every volume of
    containers can hold one.

    Raises:
        UpError: no folder for temporary files is writable.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="pylon-")
    except OSError as error:
        raise UpError(
            f"no folder for temporary files can be written ({error.strerror}); name one with TMPDIR"
        ) from None
    with folder as path:
        yield Path(path)
