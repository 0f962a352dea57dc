"""Whole workers between a nats-server and a devnet, and identities that ask them to write."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pylon.devnet import Devnet
from pylon.devnet.wallets import write_wallet
from pylon_client.contract import headers, wire
from pylon_client.contract.jobs import Job
from pylon_client.contract.operation import Operation, Params
from pylon_client.contract.subjects import IdentitySubject
from pylon_client.contract.types import IdentityName
from pylon_client.contract.writes import GET_JOB
from pylon_client.transport.connection import Connection
from tests.support.deployment import WORKER_PASSWORD, token_of
from tests.support.eventually import comes_true
from tests.support.nats_server import NatsServer
from tests.support.worker_process import WorkerProcess, worker_process

SUBNETS = {"sn1": 1, "sn2": 2, "sn12": 12}


def signing_settings(
    folder: Path, subnets: Mapping[str, int], wallets: Mapping[str, str]
) -> dict[str, str]:
    """The variables of a worker that works on the jobs of identities.

    Args:
        folder: of the wallets.
        subnets: the netuid of each identity.
        wallets: the name of each identity's wallet.
    """
    wanted = {
        "PYLON_NATS_WORKER_PASSWORD": WORKER_PASSWORD,
        "PYLON_BITTENSOR_WALLET_PATH": str(folder),
        "PYLON_IDENTITIES": wire.encode(list(subnets)).decode(),
        "PYLON_TRACKED_NETUIDS": "[]",
    }
    for name, netuid in subnets.items():
        prefix = f"PYLON_ID_{name.upper()}_"
        wanted |= {
            f"{prefix}NETUID": str(netuid),
            f"{prefix}TOKEN": token_of(name),
            f"{prefix}WALLET_NAME": wallets[name],
            f"{prefix}HOTKEY_NAME": "default",
        }
    return wanted


class Deployment:
    """A nats-server and a devnet, workers between them, and whoever asks."""

    def __init__(self, folder: Path, server: NatsServer, devnet: Devnet) -> None:
        self.folder = folder
        self.server = server
        self.devnet = devnet

    @asynccontextmanager
    async def worker(self, **settings: str) -> AsyncGenerator[WorkerProcess]:
        wallets = {name: name for name in SUBNETS}
        wanted = signing_settings(self.folder / "wallets", SUBNETS, wallets)
        async with worker_process(
            self.folder, self.server.url, self.devnet.url, **(wanted | settings)
        ) as worker:
            await worker.logs("The worker is ready")
            yield worker

    def applied(self) -> int:
        return sum(sum(calls.values()) for calls in self.devnet.applied_counts().values())


class Asker:
    """An identity and its connection."""

    def __init__(self, name: str, connection: Connection) -> None:
        self.name = IdentityName(name)
        self.connection = connection

    async def ask(
        self,
        operation: Operation[Params, Any],
        params: Mapping[str, Any] | None = None,
        key: str | None = None,
        timeout_s: float = 60.0,
    ) -> dict[str, Any]:
        subject = str(IdentitySubject(self.name, operation.name))
        sent = {} if key is None else {headers.IDEMPOTENCY_KEY: key}
        reply = await self.connection.request(
            subject, wire.encode(dict(params or {})), sent, timeout_s=timeout_s
        )
        return wire.decode(reply.body)

    async def job(self, job_id: str) -> Job:
        return Job.model_validate(await self.ask(GET_JOB, {"job_id": job_id}))

    async def ended(self, job_id: str) -> Job:
        async def has_ended() -> bool:
            return (await self.job(job_id)).has_ended

        await comes_true(has_ended)
        return await self.job(job_id)


def weights_of(devnet: Devnet, netuid: int, *uids: int) -> dict[str, Any]:
    state = devnet.chain.at(None)
    keys = [state.get("SubtensorModule", "Keys", netuid, uid) for uid in uids]
    return {"weights": dict.fromkeys(keys, 1.0)}


def make_wallets(folder: Path, devnet: Devnet) -> None:
    """Wallets of every identity, on subnets that take weights at any time."""
    for name, netuid in SUBNETS.items():
        write_wallet(folder / "wallets", name, "default")
        for item in ("MinAllowedWeights", "WeightsSetRateLimit"):
            devnet.set_hyperparameter(netuid, item, 0)
