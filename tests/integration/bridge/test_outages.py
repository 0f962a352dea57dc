"""The bridge goes on while NATS does not, and heals when it is back."""

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.support.nats.nats_cluster import NatsCluster
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.deployment import BRIDGE_PASSWORD
from tests.support.product.stub_worker import StubWorker

LATEST_BLOCK = "/api/v1/block/latest"
FAST_MS = 1000.0
ATTEMPTS = 5


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncGenerator[NatsServer]:
    async with NatsServer(tmp_path) as server:
        yield server


def durations_ms(bridge: BridgeProcess, status: int) -> list[float]:
    """How long the bridge took for its answers of one status, by its own log."""
    pattern = rf"path={LATEST_BLOCK} status={status} duration_ms=([\d.]+)"
    return [float(found) for found in re.findall(pattern, bridge.log)]


async def test_a_bridge_starts_without_nats_and_connects_when_it_appears(
    nats: NatsServer, tmp_path: Path
) -> None:
    await nats.stop()
    async with BridgeProcess(tmp_path, bridge_environment(nats.url)) as bridge:
        health = await bridge.get("/health")
        assert (health.status_code, health.json()["nats_connected"]) == (200, False)
        assert (await bridge.get("/health/ready")).status_code == 503
        response = await bridge.get(LATEST_BLOCK)
        assert response.status_code == 503
        assert response.json()["code"] == "NATS_UNAVAILABLE"

        await nats.start()
        async with StubWorker().at(nats.url):
            await bridge.until("/health/ready", 200)
            assert (await bridge.get(LATEST_BLOCK)).status_code == 200
            assert (await bridge.get("/health")).json()["nats_connected"] is True


async def test_requests_fail_at_once_while_nats_is_down_and_succeed_afterwards(
    nats: NatsServer, tmp_path: Path
) -> None:
    worker = StubWorker()
    async with (
        BridgeProcess(tmp_path, bridge_environment(nats.url)) as bridge,
        worker.at(nats.url),
    ):
        await bridge.until(LATEST_BLOCK, 200)
        served = len(worker.requests)
        worker.gate.clear()
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(bridge.get(LATEST_BLOCK)) for _ in range(3)]
            await worker.has_received(served + 3)
            await nats.kill()
        # A minute was theirs to wait; the loss of the connection ended it.
        assert [task.result().status_code for task in waiting] == [503] * 3

        for _ in range(ATTEMPTS):
            response = await bridge.get(LATEST_BLOCK)
            assert response.status_code == 503
            assert response.json()["code"] == "NATS_UNAVAILABLE"
            assert response.headers["Retry-After"] == "1"
        await bridge.logged(rf"(?s)(status=503.*){{{ATTEMPTS + 3}}}")
        # One of several, since this machine may be busy with something else for a second.
        assert min(durations_ms(bridge, 503)[-ATTEMPTS:]) < FAST_MS
        assert (await bridge.get("/health")).json()["nats_connected"] is False

        worker.gate.set()
        await nats.start()
        await bridge.until("/health/ready", 200)
        await bridge.until(LATEST_BLOCK, 200)
        assert bridge.process.returncode is None


async def test_reads_in_flight_are_answered_by_another_server_when_theirs_is_stopped(
    tmp_path: Path,
) -> None:
    worker = StubWorker()
    async with NatsCluster(tmp_path, "") as cluster:
        # The bridge connects to the first server, the worker to another.
        environment = bridge_environment(cluster.urls[0])  # it learns the others from that one
        async with (
            BridgeProcess(tmp_path, environment) as bridge,
            worker.at(cluster.urls[1]),
        ):
            await bridge.until(LATEST_BLOCK, 200)
            served = len(worker.requests)
            worker.gate.clear()
            async with asyncio.TaskGroup() as group:
                waiting = [group.create_task(bridge.get(LATEST_BLOCK)) for _ in range(3)]
                await worker.has_received(served + 3)
                await cluster.servers[0].stop()
                # Each of them once more, and over another server.
                await worker.has_received(served + 6)
                worker.gate.set()
            assert [task.result().status_code for task in waiting] == [200] * 3
            assert len(worker.requests) == served + 6


async def test_a_wrong_password_is_logged_until_it_is_corrected(tmp_path: Path) -> None:
    def users(password: str) -> str:
        return f'authorization {{ users: [ {{ user: "bridge", password: "{password}" }} ] }}'

    async with (
        NatsServer(tmp_path, users("another")) as nats,
        BridgeProcess(tmp_path, bridge_environment(nats.url)) as bridge,
    ):
        await bridge.logged("does not accept")
        assert (await bridge.get(LATEST_BLOCK)).status_code == 503
        assert BRIDGE_PASSWORD not in bridge.log
        nats.reload(users(BRIDGE_PASSWORD))
        await bridge.until("/health/ready", 200)


async def test_the_bridge_reconnects_when_its_password_is_valid_again(
    tmp_path: Path,
) -> None:
    def users(password: str) -> str:
        return f'authorization {{ users: [ {{ user: "bridge", password: "{password}" }} ] }}'

    async with (
        NatsServer(tmp_path, users(BRIDGE_PASSWORD)) as nats,
        BridgeProcess(tmp_path, bridge_environment(nats.url)) as bridge,
    ):
        await bridge.until("/health/ready", 200)
        nats.reload(users("another"))
        await bridge.until("/health/ready", 503)
        nats.reload(users(BRIDGE_PASSWORD))
        await bridge.until("/health/ready", 200)
