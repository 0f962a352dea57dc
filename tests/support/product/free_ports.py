"""Ports that stay free until a server listens on them.

A port that the OS chooses for nobody in particular comes from its range for outgoing connections,
so any client may take it before the server starts. These ports are below that range, and each
process of pytest has a part of its own.
"""

import itertools
import os
import socket
from collections.abc import Iterator
from pathlib import Path

OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST_PORT = 10_000
PORTS_OF_A_PROCESS = 2_000


def free_ports(count: int) -> list[int]:
    """Return distinct free ports; each is returned again only after all others of its part."""
    return list(itertools.islice((port for port in _candidates if _is_free(port)), count))


def _ports_of_this_process() -> Iterator[int]:
    """Cycle through the ports, from one that differs between two runs on one machine."""
    first_outgoing = int(OUTGOING.read_text().split()[0])
    parts = (first_outgoing - LOWEST_PORT) // PORTS_OF_A_PROCESS
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % parts
    first = LOWEST_PORT + number * PORTS_OF_A_PROCESS
    start = os.getpid() % PORTS_OF_A_PROCESS
    for offset in itertools.count(start):
        yield first + offset % PORTS_OF_A_PROCESS


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_candidates = _ports_of_this_process()
