"""Whole workers between a nats-server and a devnet, and identities that request writes."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from pylon_client._async.identity import AsyncIdentity
from pylon_client.contract import json_codec
from pylon_client.contract.operation import Scope
from pylon_client.contract.writes import PUT_WEIGHTS, PutWeights
from pylon_client.transport import OperationCall
from pylon_client.v1 import (
    AsyncConfig,
    AsyncPylonClient,
    ErrorCode,
    Hotkey,
    Job,
    JobId,
    JobState,
    PylonTimeout,
    SetWeightsResponse,
    Weight,
)
from pylon_devnet import Devnet
from pylon_devnet.dev_wallets import write_wallet
from tests.support.product.deployment import WORKER_PASSWORD, token_of
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.worker_process import WorkerProcess, worker_process

POLL_S = 0.1
"""Seconds between two polls of a job: about a block of the devnet."""
IdentityOf = Callable[[str], Awaitable[AsyncIdentity]]
"""A function that returns the client of an identity, by the identity's name."""

SUBNETS = {"sn1": 1, "sn2": 2, "sn12": 12}


def signing_settings(
    folder: Path, subnets: Mapping[str, int], wallets: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables of a worker that processes the jobs of identities.

    Args:
        folder: of the wallets.
        subnets: the netuid of each identity.
        wallets: the name of each identity's wallet.
    """
    settings = {
        "PYLON_NATS_WORKER_PASSWORD": WORKER_PASSWORD,
        "PYLON_BITTENSOR_WALLET_PATH": str(folder),
        "PYLON_IDENTITIES": json_codec.encode(list(subnets)).decode(),
        "PYLON_TRACKED_NETUIDS": "[]",
    }
    for name, netuid in subnets.items():
        prefix = f"PYLON_ID_{name.upper()}_"
        settings |= {
            f"{prefix}NETUID": str(netuid),
            f"{prefix}TOKEN": token_of(name),
            f"{prefix}WALLET_NAME": wallets[name],
            f"{prefix}HOTKEY_NAME": "default",
        }
    return settings


class Servers(Protocol):
    """One or more NATS servers.

    Attributes:
        replicas: of each stream.
    """

    replicas: int

    @property
    def url(self) -> str:
        """Return the URLs of all of them, as one setting."""
        ...


class Deployment:
    """NATS and a devnet, workers between them, and clients of identities.

    Args:
        folder: folder of the wallets, and home of the workers.
        nats: the NATS servers.
        devnet: the simulated chain.
        address: address of the clients, NATS or REST; empty for NATS.
    """

    def __init__(self, folder: Path, nats: Servers, devnet: Devnet, address: str = "") -> None:
        self.folder = folder
        self.nats = nats
        self.devnet = devnet
        self.address = address or nats.url

    @asynccontextmanager
    async def worker(self, **settings: str) -> AsyncGenerator[WorkerProcess]:
        wallets = {name: name for name in SUBNETS}
        variables = signing_settings(self.folder / "wallets", SUBNETS, wallets)
        variables["PYLON_NATS_STREAM_REPLICAS"] = str(self.nats.replicas)
        async with worker_process(
            self.folder, self.nats.url, self.devnet.url, **(variables | settings)
        ) as worker:
            await worker.logs("The worker is ready")
            yield worker

    @asynccontextmanager
    async def identity(
        self, name: str, timeout_s: float = HANGS_AFTER_S
    ) -> AsyncGenerator[AsyncIdentity]:
        """Connect the public client as an identity."""
        async with client_of(self.address, name, timeout_s) as client:
            yield client.identity

    def applied(self) -> int:
        return sum(sum(calls.values()) for calls in self.devnet.applied_counts().values())


def client_of(address: str, name: str, timeout_s: float = HANGS_AFTER_S) -> AsyncPylonClient:
    timeout = PylonTimeout(connect=HANGS_AFTER_S, read=timeout_s)
    config = AsyncConfig(
        address=address, identity_name=name, identity_token=token_of(name), timeout=timeout
    )
    return AsyncPylonClient(config)


async def put_without_key(
    identity: AsyncIdentity, weights: Mapping[Hotkey, Weight]
) -> SetWeightsResponse:
    """Put weights without an idempotency key, as the published clients do."""
    params = PutWeights(weights=dict(weights))
    return await identity._send(OperationCall(PUT_WEIGHTS, Scope.IDENTITY, params=params))


async def wait_until(
    identity: AsyncIdentity, job_id: JobId, condition: Callable[[Job], object]
) -> Job:
    """Return a job once a condition holds for it."""
    async with asyncio.timeout(HANGS_AFTER_S):
        while not condition(job := await identity.get_job(job_id)):
            await asyncio.sleep(POLL_S)
    return job


async def ended(identity: AsyncIdentity, job_id: JobId) -> Job:
    """Return a job once it has ended."""
    return await wait_until(identity, job_id, lambda job: job.has_ended)


async def all_jobs(identity: AsyncIdentity) -> list[Job]:
    """Return every job of an identity, from all pages."""
    page = await identity.get_jobs(limit=1000)
    jobs = page.jobs
    while page.next is not None:
        page = await identity.get_jobs(limit=1000, before=page.next)
        jobs += page.jobs
    return jobs


def is_deferred(job: Job) -> bool:
    """Return whether a job waits for a block."""
    return job.retry_at_block is not None


def has_error(code: ErrorCode) -> Callable[[Job], bool]:
    """Return a condition: the last error of a job has this code."""
    return lambda job: job.last_error is not None and job.last_error.code is code


def weights_of(devnet: Devnet, netuid: int, *uids: int) -> dict[Hotkey, Weight]:
    state = devnet.chain.state_at_hash(None)
    keys = [state.get("SubtensorModule", "Keys", netuid, uid) for uid in uids]
    return dict.fromkeys(keys, Weight(1.0))


def make_wallets(folder: Path, devnet: Devnet) -> None:
    """Write the wallets of every identity, and let their subnets accept weights at any time."""
    for name, netuid in SUBNETS.items():
        write_wallet(folder / "wallets", name, "default")
        for item in ("MinAllowedWeights", "WeightsSetRateLimit"):
            devnet.set_hyperparameter(netuid, item, 0)


async def defer_job(deployment: Deployment, devnet: Devnet) -> JobId:
    """Wait until one job of sn2 is confirmed, and put another one, which waits for the rate limit.

    Returns:
        The id of the waiting job.
    """
    async with deployment.identity("sn2") as sn2:
        return await defer_job_with(sn2, devnet)


async def defer_job_with(sn2: AsyncIdentity, devnet: Devnet) -> JobId:
    """Defer a job as `defer_job`, with a connected client."""
    devnet.set_hyperparameter(2, "WeightsSetRateLimit", 2000)
    first = await sn2.put_weights(weights_of(devnet, 2, 4))
    assert (await ended(sn2, first.job_id)).state is JobState.CONFIRMED
    deferred = await sn2.put_weights(weights_of(devnet, 2, 3))
    await wait_until(sn2, deferred.job_id, has_error(ErrorCode.RATE_LIMITED))
    return deferred.job_id
