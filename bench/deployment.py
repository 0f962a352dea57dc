"""The whole product and the bare parts beside it, as processes on this machine."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from bench.keep_alive import KeepAlive
from bench.processes import Baseline, baseline, cpu_s
from pylon_client.contract import headers
from tests.support.chain.devnet_process import DevnetProcess
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import bridge_environment
from tests.support.product.eventually import comes_true
from tests.support.product.free_ports import free_ports
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
class Bridge:
    """A bridge, whose log is written to a file: to read it would take CPU time."""

    pid: int
    url: str


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
    bridges: list[Bridge]
    bare: Baseline
    bodies: dict[str, bytes]

    @property
    def url(self) -> str:
        """Return the address of the first bridge."""
        return self.bridges[0].url

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU time of the first bridge, the worker and NATS, by name, in seconds."""
        pids = {
            "bridge": self.bridges[0].pid,
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
        started = [
            await stack.enter_async_context(_bridge(folder, nats.url, port))
            for port in free_ports(bridges)
        ]
        await worker.logs(READY)
        await worker.logs(ITS_TURN)
        for bridge in started:
            await _serves_from_memory(bridge.url)
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


@asynccontextmanager
async def _bridge(folder: Path, nats_url: str, port: int) -> AsyncGenerator[Bridge]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYLON_")}
    environment = {**inherited, **bridge_environment(nats_url), "PYLON_BRIDGE_PORT": str(port)}
    with (folder / f"bridge-{port}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge"), env=environment, cwd=folder, stdout=log, stderr=log
        )
    try:
        yield Bridge(process.pid, f"http://127.0.0.1:{port}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _serves_from_memory(url: str) -> None:
    """Wait until a bridge has received a block since its start."""
    async with httpx.AsyncClient(trust_env=False) as client:

        async def is_served() -> bool:
            try:
                response = await client.get(url + NEURONS_PATH)
            except httpx.ConnectError:
                return False
            return response.headers.get(headers.HTTP_SOURCE) == headers.SOURCE_MEMORY

        async with asyncio.timeout(SERVES_WITHIN_S):
            await comes_true(is_served)


async def _body(url: str, path: str) -> bytes:
    async with KeepAlive(url, path) as bridge:
        return await bridge.get()
