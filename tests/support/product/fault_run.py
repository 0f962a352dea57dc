"""Jobs under random faults of whole workers, a bridge, nats-servers and a devnet.

    python -m tests.support.product.fault_run --jobs 204 --seed 1 --servers 3

Every process is killed (SIGKILL) repeatedly, signers also at every step of their work.
Connections to the node are cut and silenced; submissions are refused, dropped, or included without
a reply; the streams of jobs and events are deleted; epochs end early, tempos change, and at times
no signer runs. Then the faults stop, and each identity's next write must succeed. The run ends
when every job has ended, and prints its figures.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from nats.aio.msg import Msg

from pylon.nats_server.permissions import authorization_config
from pylon.wallets.hotkeys import open_hotkey
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.jobs import Job
from pylon_client.contract.subjects import ALL_JOB_EVENTS, WORKER_USER
from pylon_client.contract.types import Hotkey, JobId, Weight
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from pylon_client.v1 import AsyncConfig, AsyncPylonClient, BasePylonException, PylonTimeout
from pylon_devnet.dev_wallets import write_wallet
from tests.support.chain.devnet_process import DevnetProcess
from tests.support.nats.nats_cluster import NatsCluster
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.chain_extrinsics import chain_extrinsics, epoch_starts, options_of
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings, token_of
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.fault_figures import Figures
from tests.support.product.fault_injector import FaultInjector
from tests.support.product.fault_limiter import FaultLimiter
from tests.support.product.fault_workers import Workers
from tests.support.product.free_ports import free_ports
from tests.support.product.job_deployment import all_jobs, signing_settings

T = TypeVar("T")

SUBNETS: Final = {"sn1": 1, "sn12": 12, "twin": 2}
WALLETS: Final = {"sn1": "sn1", "sn12": "sn12", "twin": "sn1"}
"""`sn1` and `twin` have the same hotkey, on two subnets; the subnet of `sn12` has
timelocked weights."""
OVER_NATS: Final = "sn12"
"""The identity that uses NATS; the others use REST."""
WORKERS: Final = 2
BLOCK_TIME_S: Final = 0.1
KEPT_BLOCKS: Final = 1_000_000
TEMPO_BLOCKS: Final = 200
REQUEST_TIMEOUT_S: Final = 10.0
UNDER_FAULTS_S: Final = 60.0
"""Seconds to wait for the end of a job before the next write, while faults are injected; jobs must
end only after the last fault."""
STAKE_RAO: Final = 10**15


class FaultRun:
    """One run.

    Args:
        folder: an empty one.
        jobs: number of writes, over all identities.
        seed: decides the faults.
        servers: one nats-server, or three that keep every stream three times.
        report: called with a line about the progress now and then.
    """

    def __init__(
        self,
        folder: Path,
        jobs: int,
        seed: int,
        *,
        servers: int = 1,
        report: Callable[[str], object] = lambda _line: None,
    ) -> None:
        self.figures = Figures()
        self._folder = folder
        self._jobs = jobs
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 -- guards nothing
        self._report = report
        self._accepted_jobs: dict[str, set[str]] = {name: set() for name in SUBNETS}
        self._final_states: dict[str, set[str]] = {}
        self._no_more_faults = asyncio.Event()
        self._limiter = FaultLimiter()
        self._has_ended = asyncio.Event()
        users = authorization_config(deployment_settings(identities=SUBNETS))
        self._nats: NatsServer | NatsCluster = (
            NatsServer(folder, users) if servers == 1 else NatsCluster(folder, users)
        )
        self._replicas = servers
        # Short epochs: the chain bounds the number of timelocked weights that are not yet revealed,
        # and a job that has to wait for a reveal ends with its epoch.
        self._devnet = DevnetProcess(
            folder, "--still", f"--tempo={TEMPO_BLOCKS}", f"--keep-blocks={KEPT_BLOCKS}",
            block_time_s=BLOCK_TIME_S,
        )  # fmt: skip
        (port,) = free_ports(1)
        self._bridge_port = port

    async def run(self) -> Figures:
        started_s = time.monotonic()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._devnet)
            await self._prepare_chain()
            await stack.enter_async_context(self._nats)
            workers = self._new_workers()
            keeping = [workers.keep() for _ in range(WORKERS)] + [self._keep_bridge()]
            tasks = [asyncio.create_task(one) for one in keeping]
            try:
                listener = await self._listen(stack)
                clients = {name: await self._client(stack, name) for name in SUBNETS}
                hotkeys = {name: await self._hotkeys(client) for name, client in clients.items()}
                injector = FaultInjector(
                    random.Random(self._seed),  # noqa: S311 -- guards nothing; an order of its own
                    self.figures,
                    self._devnet,
                    self._nats,
                    listener,
                    workers,
                    self._limiter,
                    netuids=sorted(SUBNETS.values()),
                )
                async with asyncio.TaskGroup() as group:
                    group.create_task(injector.until(quiet := asyncio.Event()))
                    async with asyncio.TaskGroup() as writing:
                        for name, client in clients.items():
                            writing.create_task(self._request_writes(name, client, hotkeys[name]))
                    quiet.set()
                    self._limiter.reset()  # the last fault sees that `quiet` is set
                await injector.stop_faults()
                self._no_more_faults.set()
                await asyncio.gather(*(self._check_healed(*one) for one in clients.items()))
                jobs = await self._all_ended(clients)
            finally:
                self._has_ended.set()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            await injector.note_pool()
        folder = self._devnet.folder
        assert folder is not None
        chain = options_of(folder, keep_blocks=KEPT_BLOCKS, tempo_blocks=TEMPO_BLOCKS)
        epochs = {netuid: epoch_starts(chain, netuid) for netuid in SUBNETS.values()}
        self.figures.compare(jobs, self._final_states, chain_extrinsics(chain), epochs)
        self.figures.seconds = round(time.monotonic() - started_s)
        return self.figures

    # The requests.

    async def _prepare_chain(self) -> None:
        for name in SUBNETS:
            write_wallet(self._folder / "wallets", WALLETS[name], "default")
        for netuid in SUBNETS.values():
            for item in ("MinAllowedWeights", "WeightsSetRateLimit"):
                await self._control("set-hyperparameter", netuid=netuid, item=item, value=0)
        # The twin's hotkey belongs to another subnet: register it as a validator of this one.
        signer = open_hotkey(self._folder / "wallets", WALLETS["twin"], "default")
        hotkey, netuid = signer.ss58_address, SUBNETS["twin"]
        await self._control("register-neuron", netuid=netuid, hotkey=hotkey, coldkey=hotkey)
        await self._control("advance", blocks=1)
        for item, params, value in (
            ("TotalHotkeyAlpha", [hotkey, netuid], STAKE_RAO),
            ("ValidatorPermit", [netuid], [True] * 17),
        ):
            await self._control(
                "set-storage", pallet="SubtensorModule", item=item, params=params, value=value
            )
        await self._control("advance", blocks=1)

    async def _client(self, stack: AsyncExitStack, name: str) -> AsyncPylonClient:
        client = AsyncPylonClient(
            AsyncConfig(
                address=list(self._urls) if name == OVER_NATS else self._bridge_url,
                identity_name=name,
                identity_token=token_of(name),
                timeout=PylonTimeout(read=REQUEST_TIMEOUT_S),
            )
        )
        await _persist(client.open)
        stack.push_async_callback(client.close)
        return client

    async def _hotkeys(self, client: AsyncPylonClient) -> list[Hotkey]:
        return list((await _persist(client.identity.get_latest_neurons)).neurons)

    async def _request_writes(
        self, name: str, client: AsyncPylonClient, hotkeys: list[Hotkey]
    ) -> None:
        """Request one write after the other, some while the previous one is in progress."""
        for number in range(self._jobs // len(SUBNETS) - 1):  # the last one follows the faults
            key = f"{name}-{number}"
            if number % 4 == 3:
                send = partial(self._commit, client, f"{key} commits".encode(), key)
            else:
                uids = (3 + number % 4, 8 + number // 4 % 5)
                weights = {hotkeys[uid]: Weight(1.0) for uid in uids}
                send = partial(self._put, client, weights, key)
            job_id = await self._job_of(name, send)
            if job_id and number % 5:  # the next one supersedes every fifth, unless that has ended
                with contextlib.suppress(TimeoutError):
                    await self._ended(client, job_id, UNDER_FAULTS_S)

    async def _commit(self, client: AsyncPylonClient, mark: bytes, key: str) -> JobId | None:
        return (await client.identity.set_commitment(mark, idempotency_key=key)).job_id

    async def _put(
        self, client: AsyncPylonClient, weights: dict[Hotkey, Weight], key: str
    ) -> JobId | None:
        return (await client.identity.put_weights(weights, idempotency_key=key)).job_id

    async def _check_healed(self, name: str, client: AsyncPylonClient) -> None:
        """Count an identity as healed if its commitment succeeds after the last fault.

        A commitment does not expire with an epoch, as weights do.
        """
        mark = f"{name} after the faults".encode()
        job_id = await self._job_of(name, lambda: self._commit(client, mark, f"{name}-last"))
        if job_id:
            await self._ended(client, job_id, HANGS_AFTER_S)
            job = await _persist(lambda: client.identity.get_job(job_id))
            self.figures.healed += bool(job and job.has_succeeded)

    async def _job_of(self, name: str, send: Callable[[], Awaitable[JobId | None]]) -> JobId | None:
        """Return the id of a write's job; None if the only response is a failure."""
        job_id = None
        while True:
            try:
                job_id = await _persist(send, raise_final=True)
            except BasePylonException as error:
                self.figures.failures_by_code[error.code or type(error).__name__] += 1
                self._limiter.reset()
                if error.code == ErrorCode.MISCONFIGURED:
                    await asyncio.sleep(0.5)
                    continue  # until a signer runs again
            break
        self._limiter.reset()
        self.figures.responses += 1
        if job_id:
            self._accepted_jobs[name].add(job_id)
        self._report(f"{self.figures.responses} of {self._jobs} writes are answered")
        return job_id

    async def _ended(self, client: AsyncPylonClient, job_id: JobId, within_s: float) -> None:
        async def ended() -> bool:
            return (await client.identity.get_job(job_id)).has_ended

        async with asyncio.timeout(within_s):
            while not await _persist(ended):
                await asyncio.sleep(0.1)

    async def _all_ended(self, clients: dict[str, AsyncPylonClient]) -> dict[str, Job]:
        jobs: dict[str, Job] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HANGS_AFTER_S):
                while not jobs or not all(job.has_ended for job in jobs.values()):
                    for name, client in clients.items():
                        listed = await _persist(partial(all_jobs, client.identity))
                        jobs |= {job.job_id: Job.model_validate(dict(job)) for job in listed}
                        self.figures.missing = 0
                        known = {job.job_id for job in listed}
                        self._accepted_jobs[name] -= known
        self.figures.missing = sum(map(len, self._accepted_jobs.values()))
        return jobs

    # The workers and the bridge, which are killed repeatedly.

    def _new_workers(self) -> Workers:
        settings = signing_settings(self._folder / "wallets", SUBNETS, WALLETS) | {
            # With the default, a run would mostly wait for a silent node.
            "PYLON_CHAIN_TIMEOUT_SECONDS": "5",
            "PYLON_NATS_STREAM_REPLICAS": str(self._replicas),
            # Most refusals are injected by the run.
            "PYLON_COMMITMENT_RETRY_ATTEMPTS": "100",
        }
        return Workers(
            self._random,
            self.figures,
            self._folder,
            urls=self._urls,
            network=self._devnet.url,
            settings=settings,
            no_more_faults=self._no_more_faults,
            limiter=self._limiter,
        )

    async def _keep_bridge(self) -> None:
        environment = bridge_environment(
            ",".join(self._urls), SUBNETS, bridge_port=str(self._bridge_port)
        )
        while not self._has_ended.is_set():
            with contextlib.suppress(AssertionError):
                async with BridgeProcess(self._folder, environment):
                    await asyncio.sleep(self._life_s(3, 12))
                    await self._limiter.acquire()
                self.figures.faults["bridge killed"] += 1

    def _life_s(self, least_s: float, most_s: float) -> float:
        """Return the seconds until a process is killed; infinite after the last fault."""
        return (
            float("inf") if self._no_more_faults.is_set() else self._random.uniform(least_s, most_s)
        )

    # The checks.

    async def _listen(self, stack: AsyncExitStack) -> NatsConnection:
        """Subscribe to every change of every job."""
        options = ConnectionOptions(urls=self._urls, user=WORKER_USER, password=WORKER_PASSWORD)
        connection = await connect(options)
        stack.push_async_callback(connection.close)

        async def on_event(message: Msg) -> None:
            job = Job.model_validate(json_codec.decode(message.data))
            if job.has_ended:
                self._final_states.setdefault(job.job_id, set()).add(job.state)

        await connection.nats.subscribe(ALL_JOB_EVENTS, cb=on_event)
        return connection

    async def _control(self, path: str, **parameters: object) -> None:
        await self._devnet.control("POST", f"/{path}", **parameters)

    @property
    def _urls(self) -> tuple[str, ...]:
        return (self._nats.url,) if isinstance(self._nats, NatsServer) else self._nats.urls

    @property
    def _bridge_url(self) -> str:
        return f"http://127.0.0.1:{self._bridge_port}"


async def _persist(send: Callable[[], Awaitable[T]], *, raise_final: bool = False) -> T:
    """Return the response to `ask`, retried through every outage.

    Args:
        ask: sends the request.
        or_refused: raise an error that no retry can end.
    """
    async with asyncio.timeout(HANGS_AFTER_S):
        while True:
            try:
                return await send()
            except BasePylonException as error:
                if raise_final and not error.retryable:
                    raise
            await asyncio.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=204, help="number of writes")
    parser.add_argument("--seed", type=int, default=1, help="decides the faults")
    parser.add_argument("--servers", type=int, choices=(1, 3), default=1, help="of NATS")
    parser.add_argument("--folder", help="an empty one, for all files and logs of the run")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = arguments.folder or stack.enter_context(tempfile.TemporaryDirectory())
        Path(folder).mkdir(parents=True, exist_ok=True)
        os.environ["BITTENSOR_RUNTIME_CACHE_DIR"] = os.environ["HOME"] = folder
        run = FaultRun(
            Path(folder),
            arguments.jobs,
            arguments.seed,
            servers=arguments.servers,
            report=lambda line: print(line, file=sys.stderr),  # noqa: T201 -- a command
        )
        figures = asyncio.run(run.run())
    print(json.dumps(vars(figures), indent=2))  # noqa: T201 -- a command
    if not figures.is_good:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
