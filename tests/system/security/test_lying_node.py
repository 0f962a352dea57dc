"""A node that reports false heads stops no worker, and a publisher that stops is replaced."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from pylon_client.contract import json_codec
from pylon_client.contract.failures import FailureError
from pylon_client.contract.subjects import BlockEventSubject
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.chain.devnet_process import DevnetProcess
from tests.support.nats.nats_cluster import NatsCluster
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.replicas import Nats
from tests.support.product.eventually import comes_true, eventually
from tests.support.product.running_worker import Published, connected
from tests.support.product.worker_process import (
    ITS_TURN,
    READY,
    WorkerProcess,
    leader_among,
    worker_process,
)

BLOCKS = str(BlockEventSubject())
LATEST_BLOCK = "pylon.v1.open.chain.block.latest"
OLD_NEURONS = "pylon.v1.open.2.neurons.at"
UNTRACKED_NEURONS = "pylon.v1.open.2.neurons.latest"
BLOCK_TIME_S = 0.5
PACE = {"PYLON_BLOCK_DURATION_SECONDS": str(BLOCK_TIME_S), "PYLON_HEALTH_PORT": "0"}
UNRETRIEVED = "exception was never retrieved"

FALSE_NUMBERS: tuple[Any, ...] = (
    *(2**32 - 1, "0x" + "f" * 4_000, 2, 0, -1, 2**64),
    *("not a number", "", None, 7.5, True, [1], {"number": "0x1"}),
)


async def until_answered(connection: NatsConnection, subject: str, body: bytes) -> None:
    async def is_answered() -> bool:
        try:
            await connection.request(subject, body, timeout_s=60)
        except FailureError:
            return False
        return True

    await comes_true(is_answered)


@asynccontextmanager
async def health_of(worker: WorkerProcess) -> AsyncGenerator[httpx.AsyncClient]:
    await worker.logs("Health and metrics on http")
    found = re.search(r"Health and metrics on (http://\S+)", worker.log)
    assert found is not None
    async with httpx.AsyncClient(base_url=found[1], trust_env=False, timeout=30) as http:
        yield http


async def numbers_read(connection: NatsConnection) -> tuple[int, int]:
    """Return the numbers of the latest block and of the block of untracked neurons."""
    block, neurons = await asyncio.gather(
        connection.request(LATEST_BLOCK, timeout_s=60),
        connection.request(UNTRACKED_NEURONS, timeout_s=60),
    )
    return int(json_codec.decode(block.body)["number"]), int(
        json_codec.decode(neurons.body)["block"]["number"]
    )


@pytest.mark.parametrize("archive", ["", "ws://127.0.0.1:9"])
async def test_a_node_that_lies_about_its_head_stops_neither_reads_nor_events(
    tmp_path: Path, archive: str
) -> None:
    """If the archive is not reachable, a read that is routed to it fails."""
    settings = PACE | {"PYLON_BITTENSOR_ARCHIVE_NETWORK": archive}
    async with (
        NatsServer(tmp_path) as server,
        DevnetProcess(None, block_time_s=BLOCK_TIME_S) as devnet,
        worker_process(tmp_path, server.url, devnet.url, **settings) as worker,
        connected(server.url) as connection,
        Published(connection) as published,
        health_of(worker) as health,
    ):
        await worker.logs(READY)
        await eventually(lambda: len(published.numbers(BLOCKS)) >= 3)
        for control in ("/announce-head", "/falsify-headers"):
            for number in FALSE_NUMBERS:
                before = published.numbers(BLOCKS)[-1]
                await devnet.control("POST", control, number=number, times=1)
                truth = await devnet.best_number()
                for read in await numbers_read(connection):
                    assert read >= truth - 4, (number, truth)
                await eventually(lambda before=before: published.numbers(BLOCKS)[-1] > before)
        numbers = published.numbers(BLOCKS)
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert (await health.get("/livez")).status_code == 200
        assert worker.process.returncode is None
        assert worker.log.count(READY) == 1
        assert "Traceback" not in worker.log
        assert "Releasing the publisher lease" not in worker.log


async def test_exceptions_of_a_node_outage_are_retrieved(tmp_path: Path) -> None:
    """Its second connection is idle when the node ends, so that nothing waits on it."""
    async with (
        NatsServer(tmp_path) as server,
        DevnetProcess(tmp_path, block_time_s=BLOCK_TIME_S) as devnet,
        worker_process(
            tmp_path,
            server.url,
            devnet.url,
            PYLON_BITTENSOR_ARCHIVE_NETWORK=devnet.url,
            PYLON_BITTENSOR_ARCHIVE_BLOCKS_CUTOFF="0",
            **PACE,
        ) as worker,
        connected(server.url) as connection,
        Published(connection) as published,
    ):
        await worker.logs(READY)
        for down in range(1, 4):
            await eventually(lambda: published.numbers(BLOCKS))
            before = published.numbers(BLOCKS)[-1]
            await eventually(lambda before=before: published.numbers(BLOCKS)[-1] > before + 1)
            await until_answered(connection, OLD_NEURONS, json_codec.encode({"block_number": down}))
            await devnet.kill()
            # By the fourth attempt with its backoff, the SDK has dropped the idle connection too.
            await worker.logs("Cannot connect to", times=4 * down)
            await devnet.start()
        before = published.numbers(BLOCKS)[-1]
        await eventually(lambda: published.numbers(BLOCKS)[-1] > before + 1)
        assert UNRETRIEVED not in worker.log


@pytest.mark.parametrize("servers", [1, 3])
async def test_a_publisher_that_stops_gives_its_lease_to_another_worker(
    tmp_path: Path, servers: int
) -> None:
    # 10 block times, or twice the timeout of a read: 6 s here.
    pace = PACE | {"PYLON_CHAIN_TIMEOUT_SECONDS": "3", "PYLON_NATS_STREAM_REPLICAS": str(servers)}
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    stall = tmp_path / "stall"
    stalling = ("tests.support.product.stalling_worker", str(stall))
    async with (
        NatsServer(tmp_path) if servers == 1 else NatsCluster(tmp_path, "") as running,
        DevnetProcess(None, block_time_s=BLOCK_TIME_S) as devnet,
        connected((nats := Nats(running)).urls[0]) as connection,
        Published(connection) as published,
        worker_process(first, nats.url, devnet.url, stalling, **pace) as stopping,
        health_of(stopping) as health,
    ):
        await stopping.logs(ITS_TURN)
        async with worker_process(second, nats.url, devnet.url, **pace) as other:
            await other.logs(READY)
            await other.logs("Connected to")
            stall.touch()
            await stopping.logs("Releasing the publisher lease: no block published")
            await other.logs(ITS_TURN)
            before = published.numbers(BLOCKS)[-1]
            await eventually(lambda: published.numbers(BLOCKS)[-1] > before + 10)
            assert await leader_among([stopping, other]) is other
            numbers = published.numbers(BLOCKS)
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
            assert (await health.get("/livez")).status_code == 200, "it has stopped once"

        # Alone, the worker acquires the lease again, stalls again, and must be restarted.
        async def is_unhealthy() -> bool:
            return (await health.get("/livez")).status_code == 503

        await comes_true(is_unhealthy)
        assert "published no block" in (await health.get("/livez")).text
