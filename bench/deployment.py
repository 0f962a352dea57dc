"""The whole product and the bare parts beside it, as processes on this machine."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from bench.keep_alive import KeepAlive
from bench.processes import baseline
from tests.support.chain.devnet_process import DevnetProcess
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.eventually import comes_true
from tests.support.product.worker_process import ITS_TURN, READY, worker_process

NETUID: Final = 1
"""The devnet's subnet of 256 neurons."""
BLOCK_TIME_S: Final = 2.0
NEURONS_PATH: Final = f"/api/v1/subnet/{NETUID}/block/latest/neurons"
SERVES_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """The processes, and their addresses.

    Attributes:
        devnet: the chain, whose control API counts its requests.
        nats_url: of the NATS server that the product and the bare responder share.
        bridge_url: of the product's REST API.
        bare_url: of the uvicorn that serves the same bytes.
        body_bytes: number of these bytes.
    """

    devnet: DevnetProcess
    nats_url: str
    bridge_url: str
    bare_url: str
    body_bytes: int


@asynccontextmanager
async def deployment(folder: Path) -> AsyncGenerator[Deployment]:
    """Start everything, and stop it after the block."""
    async with (
        NatsServer(folder) as nats,
        DevnetProcess(folder, block_time_s=BLOCK_TIME_S) as devnet,
        worker_process(folder, nats.url, devnet.url) as worker,
        BridgeProcess(folder, bridge_environment(nats.url)) as bridge,
    ):
        await worker.logs(READY)
        await worker.logs(ITS_TURN)
        body = await _first_body(bridge.url)
        path = folder / "neurons.json"
        path.write_bytes(body)
        async with (
            baseline("http", str(path)) as http,
            baseline("nats", str(path), nats.url),
        ):
            yield Deployment(devnet, nats.url, bridge.url, http.url, len(body))


async def _first_body(url: str) -> bytes:
    async with httpx.AsyncClient(trust_env=False) as client:

        async def is_served() -> bool:
            return (await client.get(url + NEURONS_PATH)).is_success

        async with asyncio.timeout(SERVES_WITHIN_S):
            await comes_true(is_served)
    async with KeepAlive(url, NEURONS_PATH) as bridge:
        return await bridge.get()
