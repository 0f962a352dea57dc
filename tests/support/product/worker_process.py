"""`pylon worker` as a process with settings in its environment."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.preloaded_process import PreloadedProcess, Program
from tests.support.product.process_output import append_output
from tests.support.product.secret_texts import SHORT_SECRET, with_keys

READY = "The worker is ready"
ITS_TURN = "Acquired the publisher lease"
POLL_S = 0.02


class WorkerProcess:
    """A `pylon worker` and its log.

    Attributes:
        process: the child process.
        log: everything that it has logged so far.
    """

    def __init__(self, process: PreloadedProcess, folder: Path) -> None:
        self.process = process
        self._folder = folder
        self.log = ""
        self._reading = asyncio.create_task(self._read())

    async def logs(self, text: str, *, times: int = 1) -> None:
        """Wait until the log contains a text a number of times; fail if the process ends before."""
        async with asyncio.timeout(HANGS_AFTER_S):
            while self.log.count(text) < times:
                assert not self._reading.done(), f"ended without {text!r}: {self.log}"
                await asyncio.sleep(POLL_S)

    async def ends(self) -> int:
        """Wait until the process ends by itself, and return its exit code."""
        async with asyncio.timeout(HANGS_AFTER_S):
            code = await self.process.wait()
            await self._reading
        return code

    async def kill(self) -> None:
        """Send SIGKILL if the process still runs."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)
        await self.ends()

    async def _read(self) -> None:
        async for line in await self.process.output():
            self.log += line.decode()
            append_output(self._folder, line)


@asynccontextmanager
async def worker_process(
    folder: Path,
    nats_url: str,
    network: str,
    argv: Sequence[str] = ("pylon", "worker"),
    **settings: str,
) -> AsyncGenerator[WorkerProcess]:
    """Run a worker within the block; kill it afterwards, unless it has ended.

    Args:
        folder: its working directory and home.
        nats_url: of NATS.
        network: URL of the chain node; keys are added to its path and query.
        argv: the module and its arguments that run it.
        settings: other variables, by their full names.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYLON_")}
    env |= {
        "PYLON_NATS_URL": nats_url,
        "PYLON_BITTENSOR_NETWORK": with_keys(network),
        "PYLON_BITTENSOR_ARCHIVE_NETWORK": "",
        "PYLON_TRACKED_NETUIDS": "[1]",
        "PYLON_OPEN_ACCESS_TOKEN": SHORT_SECRET,
        "PYTHONPATH": str(Path.cwd()),
        "HOME": str(folder),
    }
    program = Program(argv, cwd=folder, env=env | settings, stdout=Path(os.devnull))
    worker = WorkerProcess(PreloadedProcess(program), folder)
    try:
        yield worker
    except asyncio.CancelledError:
        raise
    except BaseException:
        sys.stderr.write(worker.log)
        raise
    finally:
        await worker.kill()


async def leader_among(workers: list[WorkerProcess]) -> WorkerProcess:
    """Return the running worker that became the leader last."""

    def last_turn(worker: WorkerProcess) -> str:
        # Each line begins with the time.
        return max((line for line in worker.log.splitlines() if ITS_TURN in line), default="")

    async with asyncio.timeout(HANGS_AFTER_S):
        while not any(map(last_turn, workers)):
            await asyncio.sleep(POLL_S)
    return max(workers, key=last_turn)
