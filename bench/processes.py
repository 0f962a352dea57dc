"""Measured processes: the bare parts beside the product, and the resources of any process."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STARTS_WITHIN_S: Final = 60.0
_NS_PER_S: Final = 1e9
_KB_PER_MB: Final = 1024


@dataclass(frozen=True, slots=True)
class Baseline:
    """A bare part that is ready.

    Attributes:
        pid: of its process.
        url: its address, if it has one.
    """

    pid: int
    url: str


@asynccontextmanager
async def baseline(*arguments: str) -> AsyncGenerator[Baseline]:
    """Run a process of `bench.baselines` within the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.baselines", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        if process.stdout is None:
            raise RuntimeError("a process was started without its pipe")
        async with asyncio.timeout(STARTS_WITHIN_S):
            ready = (await process.stdout.readline()).decode()
        yield Baseline(process.pid, ready.split()[-1])
    finally:
        process.kill()
        await process.communicate()


def cpu_s(pid: int) -> float:
    """Return the CPU time of the main thread of a process, in seconds; Linux only."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / _NS_PER_S


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process, in MB; Linux only."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / _KB_PER_MB
    raise ValueError(f"process {pid} has no memory")
