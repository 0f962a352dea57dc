"""Reads from the bridge's memory: a worker's bytes, and never stale values as the latest."""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import pytest

from pylon.common.freshness import MAX_LAG_BLOCKS
from pylon_client.contract import json_codec
from pylon_client.nats.nats_connection import NatsConnection
from pylon_devnet import Devnet, DevnetOptions
from tests.support.chain.devnet_control import ON_DEMAND_S
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.tcp_proxy import TcpProxy
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.deployment import token_of
from tests.support.product.eventually import comes_true, eventually
from tests.support.product.http_client import http_client
from tests.support.product.running_worker import connected, worker_on
from tests.support.product.worker_process import READY, WorkerProcess, worker_process

BLOCK = "/api/v1/block/latest"
NEURONS = "/api/v1/subnet/2/block/latest/neurons"
VALIDATORS = "/api/v1/subnet/2/block/latest/validators"
RECENT = "/api/v1/subnet/2/block/recent/neurons"
OF_IDENTITY = "/api/v1/identity/sn2/subnet/2"
SUBJECTS = {
    BLOCK: "pylon.v1.open.chain.block.latest",
    NEURONS: "pylon.v1.open.2.neurons.latest",
    VALIDATORS: "pylon.v1.open.2.validators.latest",
    RECENT: "pylon.v1.open.2.neurons.recent",
}
BLOCK_S = 0.5
LIMIT_S = MAX_LAG_BLOCKS * BLOCK_S
"""Seconds after which a block proves nothing about the head."""
DELAYED_BLOCKS = 5
"""Number of blocks that the worker may learn of late on a busy machine."""
STALE_BLOCKS = 12
"""Number of blocks by which the chain is ahead of what the bridge knows; far beyond the rule."""
IMPATIENT = {"X-Pylon-Timeout": "0.3", "Accept-Encoding": "identity"}


@asynccontextmanager
async def slow_service(folder: Path) -> AsyncGenerator[tuple[Devnet, BridgeProcess, NatsServer]]:
    """A chain that makes blocks on request; what is in memory stays fresh."""
    async with (
        NatsServer(folder) as nats,
        Devnet(DevnetOptions(port=0, autostart=False, past_blocks=5)) as devnet,
        worker_on(nats.url, devnet.url, netuids=[2], head_silence_s=ON_DEMAND_S),
        BridgeProcess(
            folder, bridge_environment(nats.url, {"sn2": 2}, block_duration_seconds="3600")
        ) as bridge,
    ):
        await bridge.until("/health/ready", 200)
        yield devnet, bridge, nats


async def get(bridge: BridgeProcess, path: str) -> httpx.Response:
    headers = {"Accept-Encoding": "identity"}
    if "/identity/" in path:
        headers["Authorization"] = f"Bearer {token_of('sn2')}"
    response = await bridge.get(path, headers=headers)
    assert response.status_code == 200, response.text
    return response


async def reach_memory(devnet: Devnet, bridge: BridgeProcess) -> int:
    """Make blocks until the newest one is served from memory; return its number."""

    async def served() -> bool:
        newest = await devnet.advance()
        await eventually_at(bridge, NEURONS, newest)
        return (await get(bridge, NEURONS)).headers["X-Pylon-Source"] == "memory"

    await comes_true(served)
    return devnet.best_number


async def eventually_at(bridge: BridgeProcess, path: str, number: int) -> None:
    async def is_there() -> bool:
        return (await get(bridge, path)).headers["X-Pylon-Block-Number"] == str(number)

    await comes_true(is_there)


async def workers_body(connection: NatsConnection, subject: str, **params: int) -> bytes:
    return (await connection.request(subject, json_codec.encode(params), timeout_s=60)).body


async def test_the_memory_has_the_bytes_of_a_worker(tmp_path: Path) -> None:
    async with (
        slow_service(tmp_path) as (devnet, bridge, nats),
        connected(nats.url) as connection,
    ):
        number = await reach_memory(devnet, bridge)
        await reach_memory(devnet, bridge)
        for path, subject in SUBJECTS.items():
            expected = await workers_body(connection, subject)
            for form in (path, path.replace("/api/v1/subnet/2", OF_IDENTITY)):
                response = await get(bridge, form)
                assert response.headers["X-Pylon-Source"] == "memory", form
                assert response.content == expected
                if form != BLOCK:
                    assert json_codec.decode(expected)["block"]["number"] == number + 1
        for kind in ("neurons", "validators"):
            expected = await workers_body(
                connection, f"pylon.v1.open.2.{kind}.at", block_number=number
            )
            for prefix in ("/api/v1/subnet/2", OF_IDENTITY):
                response = await get(bridge, f"{prefix}/block/{number}/{kind}")
                assert response.headers["X-Pylon-Source"] == "memory"
                assert response.headers["Cache-Control"].endswith("max-age=60")
                assert response.content == expected
        tag = {"If-None-Match": (await get(bridge, NEURONS)).headers["ETag"]}
        unchanged = await bridge.get(NEURONS, headers=tag)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["X-Pylon-Source"] == "memory"
        wrong = await bridge.get(
            f"{OF_IDENTITY}/block/latest/neurons", headers={"Authorization": "Bearer x"}
        )
        assert wrong.status_code == 403
        untracked = await bridge.get("/api/v1/subnet/1/block/latest/neurons")
        assert untracked.headers["X-Pylon-Source"] == "worker"


async def test_after_a_reorg_no_block_of_the_old_chain_is_served(tmp_path: Path) -> None:
    async with slow_service(tmp_path) as (devnet, bridge, _):
        await reach_memory(devnet, bridge)
        first = await reach_memory(devnet, bridge)
        last = await reach_memory(devnet, bridge)
        at_last = f"/api/v1/subnet/2/block/{last}/neurons"
        removed = await get(bridge, at_last)
        assert removed.headers["X-Pylon-Source"] == "memory"
        newest = devnet.reorg(2)
        await eventually_at(bridge, BLOCK, newest)
        for number in (last, first):
            response = await get(bridge, f"/api/v1/subnet/2/block/{number}/neurons")
            assert response.headers["X-Pylon-Source"] == "worker"
        assert (await get(bridge, at_last)).headers["ETag"] != removed.headers["ETag"]
        await eventually_at(bridge, NEURONS, newest)
        known = f"/api/v1/subnet/2/block/{newest}/neurons"
        assert (await get(bridge, known)).headers["ETag"] == (await get(bridge, NEURONS)).headers[
            "ETag"
        ]


@dataclass
class Heads:
    """The heads of a chain, and when each was seen."""

    devnet: Devnet
    seen: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    def at(self, moment_s: float) -> int:
        return max((number for at_s, number in self.seen if at_s <= moment_s), default=0)

    async def go_on(self, blocks: int) -> None:
        goal = self.devnet.best_number + blocks
        await eventually(lambda: self.devnet.best_number >= goal)

    async def _watch(self) -> None:
        while True:
            self.seen.append((time.monotonic(), self.devnet.best_number))
            await asyncio.sleep(0.02)


@dataclass
class Service:
    """A chain with a block time of half a second, a worker, and a proxy between bridge and NATS."""

    folder: Path
    nats: NatsServer
    proxy: TcpProxy
    heads: Heads
    bridge: BridgeProcess

    async def audited(self, path: str) -> str:
        """Send a request; return the source of the response, and fail if it is stale."""
        asked_s = time.monotonic()
        async with http_client(self.bridge.url) as client:
            response = await client.get(path, headers=IMPATIENT)
        if response.headers.get("X-Pylon-Source") != "memory":
            return "worker" if response.is_success else "failure"
        number = int(response.headers["X-Pylon-Block-Number"])
        head = self.heads.at(asked_s - LIMIT_S)
        assert head - number <= MAX_LAG_BLOCKS + DELAYED_BLOCKS, f"{number} served at head {head}"
        return "memory"

    async def audit(self, source: str, path: str = NEURONS) -> None:
        """Send requests until a response is from this source; none of them may be stale."""
        while await self.audited(path) != source:
            await asyncio.sleep(0.02)

    async def audit_blocks(self, blocks: int) -> list[str]:
        """Send requests until the chain has made some blocks; none may be stale."""
        goal = self.heads.devnet.best_number + blocks
        sources: list[str] = []
        while self.heads.devnet.best_number < goal:
            sources += [await self.audited(BLOCK), await self.audited(NEURONS)]
        return sources

    @asynccontextmanager
    async def worker(self, name: str) -> AsyncGenerator[WorkerProcess]:
        folder = self.folder / name
        folder.mkdir()
        async with worker_process(
            folder,
            self.nats.url,
            self.heads.devnet.url,
            PYLON_TRACKED_NETUIDS="[2]",
            PYLON_BLOCK_DURATION_SECONDS=str(BLOCK_S),
            PYLON_OPEN_ACCESS_TOKEN="",
        ) as worker:
            await worker.logs(READY)
            yield worker


@pytest.fixture
async def service(tmp_path: Path) -> AsyncGenerator[Service]:
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(NatsServer(tmp_path))
        proxy = await stack.enter_async_context(TcpProxy(nats.port))
        options = DevnetOptions(port=0, block_time_s=BLOCK_S)
        devnet = await stack.enter_async_context(Devnet(options))
        heads = await stack.enter_async_context(Heads(devnet))
        environment = bridge_environment(
            f"nats://127.0.0.1:{proxy.port}", block_duration_seconds=str(BLOCK_S)
        )
        bridge = await stack.enter_async_context(BridgeProcess(tmp_path, environment))
        yield Service(tmp_path, nats, proxy, heads, bridge)


async def test_nothing_stale_is_served_when_the_publisher_stops(service: Service) -> None:
    async with service.worker("first") as first:
        await service.audit("memory")
        first.process.send_signal(signal.SIGSTOP)
        await service.audit("failure")
        assert set(await service.audit_blocks(STALE_BLOCKS)) == {"failure"}
        # A bridge that starts now finds stored events only.
        folder = service.folder / "second"
        folder.mkdir()
        async with BridgeProcess(folder, service.bridge.environment) as started:
            await started.until("/health/ready", 200)
            response = await started.get(BLOCK, headers=IMPATIENT)
            assert response.status_code == 504
    # The next publisher begins with the blocks that were missed.
    async with service.worker("next"):
        await service.audit("memory")
        await service.audit("memory", BLOCK)


async def test_nothing_stale_is_served_when_the_chain_stops(service: Service) -> None:
    async with service.worker("only"):
        await service.audit("memory")
        service.heads.devnet.pause()
        await service.audit("worker")
        service.heads.devnet.resume()
        await service.audit("memory")


async def test_nothing_stale_is_served_after_a_frozen_nats(service: Service) -> None:
    async with service.worker("only") as worker:
        await service.audit("memory")
        service.nats.send_signal(signal.SIGSTOP)
        await service.audit("failure")
        assert set(await service.audit_blocks(STALE_BLOCKS)) == {"failure"}
        service.nats.send_signal(signal.SIGCONT)
        await service.audit("memory")
        assert "Traceback" not in service.bridge.log + worker.log


async def test_nothing_stale_is_served_after_a_partition(service: Service) -> None:
    async with service.worker("only") as worker:
        await service.audit("memory")
        service.proxy.flows.clear()
        await service.heads.go_on(STALE_BLOCKS)
        worker.process.send_signal(signal.SIGSTOP)
        await service.heads.go_on(STALE_BLOCKS)
        # Now the bridge receives events as they come that were sent long ago.
        service.proxy.flows.set()
        assert "memory" not in await service.audit_blocks(STALE_BLOCKS)
    async with service.worker("next"):
        await service.audit("memory")
        service.proxy.close()
        await service.audit("failure")
        await service.heads.go_on(2)
        await service.proxy.open_listener()
        await service.audit("memory")
