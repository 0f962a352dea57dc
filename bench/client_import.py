"""`python -m bench --only import`: CPU time to import the client, and its three libraries."""

import subprocess
import sys
from typing import Final

from bench.pairs import ROUNDS, Pair, paired

CLIENT: Final = "pylon_client.v1"
LIBRARIES: Final = "pydantic, httpx, nats"
"""The libraries that a client of Pylon would need in any case: models, and both protocols."""


def measure() -> Pair:
    """Return the CPU time of an interpreter that imports the client, and of one that does not."""
    for imported in (CLIENT, LIBRARIES):
        _cpu_s(imported)  # writes the bytecode
    return paired([(_cpu_s(CLIENT), _cpu_s(LIBRARIES)) for _ in range(ROUNDS)])


def _cpu_s(imported: str) -> float:
    code = f"import time, {imported}; print(time.process_time())"
    return float(subprocess.check_output([sys.executable, "-c", code]))  # noqa: S603 -- this code
