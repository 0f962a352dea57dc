"""The workers of a run of jobs under faults: killed repeatedly, at times without a signer."""

import asyncio
import contextlib
import random
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.support.product.dying_worker import STEPS
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.fault_figures import Figures
from tests.support.product.fault_limiter import FaultLimiter
from tests.support.product.worker_process import READY, WorkerProcess, worker_process

SIGNER: Final = {"PYLON_WORKER_ROLE": "all"}
GRACE_S: Final = ("0", "120")
"""`PYLON_SIGNER_GRACE_SECONDS` of workers without signers: writes are refused, or accepted."""


class Workers:
    """Workers; each is replaced when it has died.

    Args:
        chance: decides when each worker dies, and at which step.
        figures: count the deaths.
        folder: the working directory of all.
        urls: of NATS.
        network: of the chain node.
        settings: variables of every worker.
        no_more_faults: once set, no worker is killed.
        limiter: delays kills while writes get no response.
    """

    def __init__(
        self,
        chance: random.Random,
        figures: Figures,
        folder: Path,
        *,
        urls: Sequence[str],
        network: str,
        settings: Mapping[str, str],
        no_more_faults: asyncio.Event,
        limiter: FaultLimiter,
    ) -> None:
        self._random = chance
        self._figures = figures
        self._folder = folder
        self._urls = ",".join(urls)
        self._network = network
        self._settings = settings
        self._no_more_faults = no_more_faults
        self._limiter = limiter
        self._steps = deque(chance.sample(STEPS, len(STEPS)))
        self._role: Mapping[str, str] = SIGNER
        self._running = set[WorkerProcess]()
        self._reader_is_ready = asyncio.Event()

    async def keep(self) -> None:
        """Run one worker after the other, until cancelled."""
        while True:
            with contextlib.suppress(AssertionError):
                await self._run_one(self._role)

    async def lose_signers(self) -> None:
        """Replace all workers by readers for some seconds."""
        grace_s = self._random.choice(GRACE_S)
        self._reader_is_ready.clear()
        await self._replace_all(
            {"PYLON_WORKER_ROLE": "reader", "PYLON_SIGNER_GRACE_SECONDS": grace_s}
        )
        async with asyncio.timeout(HANGS_AFTER_S):
            await self._reader_is_ready.wait()
        await asyncio.sleep(self._random.uniform(0.5, 3.0))
        await self._replace_all(SIGNER)

    async def _replace_all(self, role: Mapping[str, str]) -> None:
        """Kill every worker; the next ones have this role."""
        self._role = role
        await asyncio.gather(*(worker.kill() for worker in self._running))

    async def _run_one(self, role: Mapping[str, str]) -> None:
        # Half of the signers die at a step of their work, the others at any time.
        stops_at_step = (
            role is SIGNER and self._random.random() < 0.5 and not self._no_more_faults.is_set()
        )
        may_stop = stops_at_step and bool(self._steps) and self._limiter.try_acquire()
        step = self._steps.popleft() if may_stop else ""
        argv = ("tests.support.product.dying_worker", step) if step else ("pylon", "worker")
        exit_code = None
        try:
            async with worker_process(
                self._folder, self._urls, self._network, argv, **self._settings, **role
            ) as worker:
                if role is self._role:
                    self._running.add(worker)
                    exit_code = await self._exit_code(worker, role)
                    self._running.discard(worker)
        finally:
            if step and exit_code != -signal.SIGKILL:
                self._steps.append(step)  # the worker did not reach it
        if step and exit_code == -signal.SIGKILL:
            self._figures.steps[step] += 1
        elif exit_code is None:
            self._figures.faults[f"{'signer' if role is SIGNER else 'reader'} killed"] += 1

    async def _exit_code(self, worker: WorkerProcess, role: Mapping[str, str]) -> int | None:
        """Return the exit code of a worker that ends by itself; None if the run has to kill it."""
        with contextlib.suppress(TimeoutError, AssertionError):
            await worker.logs(READY)
            if role is self._role and role is not SIGNER:
                self._reader_is_ready.set()
            async with asyncio.timeout(self._life_s()):
                await worker.process.wait()
        if worker.process.returncode is None:
            ends = {
                asyncio.create_task(worker.process.wait()),
                asyncio.create_task(self._limiter.acquire()),
            }
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        return worker.process.returncode if role is self._role else None

    def _life_s(self) -> float | None:
        """Return the planned life of a worker, in seconds; None after the last fault."""
        return None if self._no_more_faults.is_set() else self._random.uniform(2, 12)
