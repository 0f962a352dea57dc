"""`python -m bench import`: CPU time to import the client, and to import only its dependencies."""

import subprocess
import sys
from typing import Final

from bench.pairs import ROUNDS, Pair, paired

CLIENT: Final = "pylon_client.v1"
DEPENDENCIES: Final = "asyncio, pydantic_settings, tenacity"
"""The largest imports of the client from the standard library and from other packages."""


def measure() -> Pair:
    """Return the CPU time of an interpreter that imports the client, and of one that does not."""
    for imported in (CLIENT, DEPENDENCIES):
        _cpu_s(imported)  # writes the bytecode
    return paired([(_cpu_s(CLIENT), _cpu_s(DEPENDENCIES)) for _ in range(ROUNDS)])


def _cpu_s(imported: str) -> float:
    code = f"import time, {imported}; print(time.process_time())"
    return float(subprocess.check_output([sys.executable, "-c", code]))  # noqa: S603 -- this code
