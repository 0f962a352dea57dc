"""The settings of the Pylon that runs from a home, for commands that look at it from beside.

`pylon up` makes passwords for each run, and chooses addresses by its own options. Whoever may read
its home may look at what it runs: `pylon check`, `pylon watch` and `pylon jobs` do.
"""

import contextlib
import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from pylon.messaging.private_file import write_private
from pylon.up.options import UpSettings

_FILE: Final = "running.json"
_PLACE: Final = "PYLON_NATS_URL"


class _Running(msgspec.Struct):
    """What is kept.

    Attributes:
        pid: of the `pylon up` that wrote it.
        settings: variables that it gave its processes, beside those of its own environment.
    """

    pid: int
    settings: dict[str, str]


@contextlib.contextmanager
def told_in(home: Path, settings: Mapping[str, str]) -> Generator[None]:
    """Within the block, commands find these settings in the home; its owner alone may read them."""
    path = home / _FILE
    write_private(path, msgspec.json.encode(_Running(os.getpid(), dict(settings))).decode())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def adopt() -> Path | None:
    """Take the settings of the Pylon that runs from this home into the environment.

    An environment that names another NATS is left as it is.

    Returns:
        The home, or None where nothing was taken.
    """
    home = UpSettings().home
    try:
        running = msgspec.json.decode((home / _FILE).read_bytes(), type=_Running)
        os.kill(running.pid, 0)
    except (OSError, msgspec.DecodeError):
        return None  # none runs, or it is somebody else's
    if os.environ.get(_PLACE, running.settings.get(_PLACE)) != running.settings.get(_PLACE):
        return None
    os.environ.update(running.settings)
    return home
