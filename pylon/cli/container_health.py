"""The image's health check: `python -m pylon.cli.container_health`.

One image runs every process, so the URL is derived from the container's main command. Only the
standard library is imported, since this runs every few seconds.
"""

import os
import socket
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

MAIN_CMDLINE: Final = Path("/proc/1/cmdline")
TIMEOUT_S: Final = 4.0
BRIDGE_PORT: Final = "8000"
DEVNET_PORT: Final = "9944"


def health_url(command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Return the health URL of a container, or None if it has none.

    Args:
        command: command line of the main process, with or without an init process.
        environment: environment variables of the container.
    """
    words = set(command)
    if "devnet" in words:
        return f"tcp://127.0.0.1:{_option(command, 'port') or DEVNET_PORT}"
    if "worker" in words:
        port = environment.get("PYLON_HEALTH_PORT")
        return f"http://127.0.0.1:{port}/livez" if port else None
    if "bridge" in words:
        port = environment.get("PYLON_BRIDGE_PORT") or BRIDGE_PORT
    else:
        port = _option(command, "port") or environment.get("PORT") or BRIDGE_PORT
    return f"http://127.0.0.1:{port}/health"


def _option(command: Sequence[str], name: str) -> str | None:
    for number, word in enumerate(command):
        if word == f"--{name}":
            return next(iter(command[number + 1 :]), None)
        if word.startswith(f"--{name}="):
            return word.partition("=")[2]
    return None


def check(url: str) -> None:
    """Request a URL, or connect to it if its scheme is `tcp`.

    Raises:
        OSError: the connection failed, or the response is an error.
    """
    parts = urlsplit(url)
    if parts.scheme == "tcp":
        socket.create_connection((parts.hostname or "", parts.port or 0), TIMEOUT_S).close()
        return
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=TIMEOUT_S)


def main() -> int:
    """Check the main process of this container, and return the exit code of the health check."""
    command = MAIN_CMDLINE.read_bytes().decode(errors="replace").split("\0")
    url = health_url(command, os.environ)
    if url is None:
        return 0
    try:
        check(url)
    except OSError as error:
        sys.stderr.write(f"{url} is not healthy: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
