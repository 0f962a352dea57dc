"""Jobs under faults: whole workers, a real nats-server and a devnet, struck at random.

    python -m tests.support.fault_run --jobs 200 --seed 1

Signers and nats-server are killed, connections to the node cut and silenced, submissions
swallowed and refused. It ends when every job has, and prints its figures.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pylon.devnet import Devnet, DevnetOptions
from pylon.messaging.permissions import authorization
from pylon_client.contract.failures import FailureError
from pylon_client.contract.jobs import IN_FLIGHT, Job
from pylon_client.contract.writes import LIST_JOBS, PUT_WEIGHTS
from pylon_client.transport.connection import ConnectionOptions, connect
from tests.support.deployment import deployment_settings, token_of
from tests.support.job_deployment import (
    SUBNETS,
    Asker,
    Deployment,
    make_wallets,
    weights_of,
)
from tests.support.nats_server import NatsServer

WORKERS = 2
ENDS_WITHIN_S = 180.0


@dataclass
class Figures:
    """What came of it.

    Attributes:
        asked: puts that were answered with a job.
        missing: answered jobs that nobody knows any more.
        unended: answered jobs that did not end.
        states: how the jobs ended.
        doubled: jobs with more than one applied extrinsic, or extrinsics of no successful job.
        most_in_flight: the most extrinsics of one hotkey that were in the node's pool at once.
        faults: what was done to them.
    """

    asked: int = 0
    missing: int = 0
    unended: int = 0
    states: Counter[str] = field(default_factory=Counter[str])
    doubled: int = 0
    applied: int = 0
    most_in_flight: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])


class FaultRun:
    """One run.

    Args:
        folder: an empty one.
        jobs: how many weights jobs to ask for, over all identities.
        seed: decides the faults.
    """

    def __init__(self, folder: Path, jobs: int, seed: int) -> None:
        self.figures = Figures()
        self._folder = folder
        self._jobs = jobs
        self._random = random.Random(seed)  # noqa: S311 -- guards nothing
        self._asked: dict[str, list[str]] = {name: [] for name in SUBNETS}
        self._over = asyncio.Event()

    async def run(self) -> Figures:
        settings = deployment_settings(identities=SUBNETS)
        # Short epochs: the chain keeps only so many sealed weights until they are revealed, and a
        # job that has to wait for that ends with its epoch.
        options = DevnetOptions(port=0, block_time_s=0.1, tempo_blocks=400, active=False)
        async with AsyncExitStack() as stack:
            devnet = await stack.enter_async_context(Devnet(options))
            make_wallets(self._folder, devnet)
            server = await stack.enter_async_context(
                NatsServer(self._folder, authorization(settings))
            )
            deployment = Deployment(self._folder, server, devnet)
            keepers = [asyncio.create_task(self._keep_worker(deployment)) for _ in range(WORKERS)]
            watching = asyncio.create_task(self._watch(devnet))
            striking = asyncio.create_task(self._strike(deployment))
            try:
                askers = {name: await self._asker(stack, server, name) for name in SUBNETS}
                await asyncio.gather(*(self._ask(deployment, asker) for asker in askers.values()))
                striking.cancel()
                devnet.speak()
                devnet.swallow_extrinsics(times=0)
                for asker in askers.values():
                    await self._wait_for_ends(asker)
                await self._count(devnet, askers)
            finally:
                self._over.set()
                tasks = [*keepers, watching, striking]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return self.figures

    async def _asker(self, stack: AsyncExitStack, server: NatsServer, name: str) -> Asker:
        options = ConnectionOptions(urls=(server.url,), user=name, password=token_of(name))
        connection = await connect(options)
        stack.push_async_callback(connection.close)
        return Asker(name, connection)

    async def _keep_worker(self, deployment: Deployment) -> None:
        while not self._over.is_set():
            with contextlib.suppress(AssertionError):
                # Patience with a silent node is what a run would otherwise spend its time on.
                async with deployment.worker(PYLON_CHAIN_TIMEOUT_S="5") as worker:
                    life_s = self._random.uniform(2, 15)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(life_s):
                            await worker.process.wait()
                    if any(self._asked.values()):
                        self.figures.faults["signer killed"] += 1

    async def _ask(self, deployment: Deployment, asker: Asker) -> None:
        """Ask for one job after the other; some while the one before is still in hand."""
        count = self._jobs // len(SUBNETS)
        for number in range(count):
            uids = [3 + number % 4, 8 + number // 4 % 5]
            weights = weights_of(deployment.devnet, SUBNETS[asker.name], *uids)
            key = f"{asker.name}-{number}"

            async def ask(weights: object = weights, key: str = key) -> bool:
                answer = await asker.ask(PUT_WEIGHTS, weights, key, timeout_s=5)  # pyright: ignore[reportArgumentType] -- a body
                self._asked[asker.name].append(answer["job_id"])
                return True

            await _persist(ask)
            self.figures.asked += 1
            if number % 5:  # every fifth is superseded by the next, unless it was quick
                await self._wait_for_ends(asker)

    async def _wait_for_ends(self, asker: Asker) -> None:
        async def last_has_ended() -> bool:
            return (await asker.job(self._asked[asker.name][-1])).has_ended

        with contextlib.suppress(TimeoutError):
            await _persist(last_has_ended)

    async def _watch(self, devnet: Devnet) -> None:
        while True:
            waiting = devnet.pool._waiting
            most = max((len(by_nonce) for by_nonce in waiting.values()), default=0)
            self.figures.most_in_flight = max(self.figures.most_in_flight, most)
            await asyncio.sleep(0.01)

    async def _strike(self, deployment: Deployment) -> None:
        devnet = deployment.devnet
        choices = ["cut", "silence", "swallow", "refuse", "nats killed"]
        while True:
            await asyncio.sleep(self._random.uniform(0.3, 2.0))
            fault = self._random.choice(choices)
            self.figures.faults[fault] += 1
            match fault:
                case "cut":
                    devnet.drop_connections()
                case "silence":
                    devnet.go_silent()
                    await asyncio.sleep(self._random.uniform(0.2, 2.0))
                    devnet.speak()
                case "swallow":
                    devnet.swallow_extrinsics(times=1)
                case "refuse":
                    devnet.refuse_extrinsics(times=1, data="Transaction is outdated")
                case _:
                    await deployment.server.restart()

    async def _count(self, devnet: Devnet, askers: dict[str, Asker]) -> None:
        figures = self.figures
        jobs: dict[str, Job] = {}
        for asker in askers.values():

            async def listed(asker: Asker = asker) -> bool:
                answer = await asker.ask(LIST_JOBS, timeout_s=20)
                jobs.update({job["job_id"]: Job.model_validate(job) for job in answer["jobs"]})
                return True

            await _persist(listed)
        asked = {job_id for of_one in self._asked.values() for job_id in of_one}
        figures.missing = len(asked - set(jobs))
        figures.unended = sum(not job.has_ended for job in jobs.values())
        figures.states = Counter(str(job.state) for job in jobs.values())
        applied = Counter(one.hash for one in devnet.applied_extrinsics() if one.error is None)
        figures.applied = sum(applied.values())
        wanted = {
            job.extrinsic.hash for job in jobs.values() if job.has_succeeded and job.extrinsic
        }
        figures.doubled = len(set(applied) ^ wanted) + sum(n - 1 for n in applied.values())
        assert not any(job.state in IN_FLIGHT for job in jobs.values()) or figures.unended


async def _persist(ask: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it comes true, through whatever is down meanwhile."""
    async with asyncio.timeout(ENDS_WITHIN_S):
        while True:
            with contextlib.suppress(FailureError):
                if await ask():
                    return
            await asyncio.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BITTENSOR_RUNTIME_CACHE_DIR"] = os.environ["HOME"] = folder
        figures = asyncio.run(FaultRun(Path(folder), chosen.jobs, chosen.seed).run())
    print(json.dumps(vars(figures), indent=2))  # noqa: T201 -- a command
    if figures.missing or figures.unended or figures.doubled or figures.most_in_flight > 1:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
