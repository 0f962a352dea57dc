"""Measured processes: the bare parts beside the product, and the resources of any process."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

STARTS_WITHIN_S: Final = 60.0
ANSWERS_WITHIN_S: Final = 300.0
MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024
_NS_PER_S: Final = 1e9
_KB_PER_MB: Final = 1024


class Baseline:
    """A bare part that is ready.

    Attributes:
        pid: of its process.
        url: its address, if it has one.
    """

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self._process = process
        self.pid = process.pid
        self.url = url

    async def ask(self, line: str) -> str:
        """Send a line, and return the line with which the process answers.

        Raises:
            RuntimeError: the process has ended.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a process was started without its pipes")
        self._process.stdin.write(f"{line}\n".encode())
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            answer = await self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process ended when it was asked {line!r}")
        return answer.decode()


@asynccontextmanager
async def baseline(*arguments: str, module: str = "bench.baselines") -> AsyncGenerator[Baseline]:
    """Run a process of a module of this package within the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=MAX_ANSWER_BYTES,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("a process was started without its pipe")
        async with asyncio.timeout(STARTS_WITHIN_S):
            ready = (await process.stdout.readline()).decode()
        if not ready:
            raise RuntimeError(f"{module} {' '.join(arguments)} ended before it was ready")
        yield Baseline(process, ready.split()[-1])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def cpu_s(pid: int) -> float:
    """Return the CPU time of the threads of a process, in seconds; Linux only."""
    times_ns = 0
    for path in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            times_ns += int((path / "schedstat").read_text().split()[0])
    return times_ns / _NS_PER_S


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process, in MB; Linux only."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / _KB_PER_MB
    raise ValueError(f"process {pid} has no memory")


def disk_bytes(pid: int) -> int:
    """Return the bytes that a process has caused to be written to disk; Linux only.

    Pages of a file that is deleted before the kernel writes them are not counted.
    """
    lines = (line.split(":") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    counts = {name: int(count) for name, count in lines}
    return counts["write_bytes"] - counts["cancelled_write_bytes"]
