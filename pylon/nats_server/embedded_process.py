"""The process of the embedded nats-server: its program, its environment, and where it listens."""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

from pylon.common.processes import base_environment
from pylon.nats_server.server_limits import GO_MEMORY_LIMIT


class EmbeddedNatsError(Exception):
    """Why the nats-server does not run, in words for the person who started it."""


def server_environment() -> dict[str, str]:
    """Return the variables of the server: it finds all of its settings in its configuration."""
    return base_environment(os.environ) | {"GOMEMLIMIT": GO_MEMORY_LIMIT}


def nats_server_binary() -> str:
    """Return the nats-server that was installed with Pylon, or else the one on PATH.

    Raises:
        EmbeddedNatsError: there is neither.
    """
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise EmbeddedNatsError(
            "no nats-server is installed: install the extra 'service', or put one on PATH"
        )
    return found


def listening_port(ports_folder: Path) -> int | None:
    """Return the port in the file that nats-server writes when it listens; None until then."""
    for path in ports_folder.glob("*.ports"):
        with contextlib.suppress(ValueError, LookupError):
            url: str = json.loads(path.read_text())["nats"][0]
            return int(url.rpartition(":")[2])
    return None
