"""The whole product and the bare parts beside it, as processes on this machine."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from bench.keep_alive import KeepAlive
from bench.processes import Baseline, baseline, cpu_s
from tests.support.chain.devnet_process import DevnetProcess
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.eventually import comes_true
from tests.support.product.worker_process import ITS_TURN, READY, worker_process

NETUID: Final = 1
"""The devnet's subnet of 256 neurons."""
NEURONS_PATH: Final = f"/api/v1/subnet/{NETUID}/block/latest/neurons"
BLOCK_PATH: Final = "/api/v1/block/latest"
HEALTH_PATH: Final = "/health"
BODIES: Final = {"neurons": NEURONS_PATH, "block": BLOCK_PATH, "health": HEALTH_PATH}
"""The paths whose bytes the bare server serves, by its names."""
OWN_INTERPRETER: Final = {"PYTHONUNBUFFERED": "1"}
"""A variable that makes a test's process execute an interpreter instead of a fork of one, which
would share the memory of its imports."""
SERVES_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """The processes, and their addresses.

    Attributes:
        devnet: the chain, whose control API counts its requests.
        nats: the NATS server that the product and the bare responder share.
        worker_pid: process of the worker.
        bridges: the processes of the REST API.
        bare: the uvicorn that serves the same bytes.
        bodies: these bytes, by the bare server's names.
    """

    devnet: DevnetProcess
    nats: NatsServer
    worker_pid: int
    bridges: list[BridgeProcess]
    bare: Baseline
    bodies: dict[str, bytes]

    @property
    def url(self) -> str:
        """Return the address of the first bridge."""
        return self.bridges[0].url

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU time of the first bridge, the worker and NATS, by name, in seconds."""
        pids = {
            "bridge": self.bridges[0].process.pid,
            "worker": self.worker_pid,
            "nats": self.nats.pid,
        }
        return {name: cpu_s(pid) for name, pid in pids.items()}


@asynccontextmanager
async def deployment(
    folder: Path, *, block_time_s: float, bridges: int = 1
) -> AsyncGenerator[Deployment]:
    """Start everything, and stop it after the block."""
    async with (
        NatsServer(folder) as nats,
        DevnetProcess(folder, block_time_s=block_time_s) as devnet,
        worker_process(folder, nats.url, devnet.url, **OWN_INTERPRETER) as worker,
        AsyncExitStack() as stack,
    ):
        environment = bridge_environment(nats.url) | OWN_INTERPRETER
        started = [
            await stack.enter_async_context(BridgeProcess(folder, environment))
            for _ in range(bridges)
        ]
        await worker.logs(READY)
        await worker.logs(ITS_TURN)
        for bridge in started:
            await _serves_neurons(bridge.url)
        bodies = {name: await _body(started[0].url, path) for name, path in BODIES.items()}
        served = folder / "bodies"
        served.mkdir()
        for name, body in bodies.items():
            (served / name).write_bytes(body)
        async with (
            baseline("http", str(served)) as bare,
            baseline("nats", str(served / "neurons"), nats.url),
        ):
            yield Deployment(devnet, nats, worker.process.pid, started, bare, bodies)


async def _serves_neurons(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:

        async def is_served() -> bool:
            return (await client.get(url + NEURONS_PATH)).is_success

        async with asyncio.timeout(SERVES_WITHIN_S):
            await comes_true(is_served)


async def _body(url: str, path: str) -> bytes:
    async with KeepAlive(url, path) as bridge:
        return await bridge.get()
