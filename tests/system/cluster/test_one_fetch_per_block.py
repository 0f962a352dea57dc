"""Three workers, three bridges and many clients cause one chain read per block and subnet."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from pylon.nats_server.permissions import authorization_config
from pylon_client.contract.subjects import WORKER_USER, NeuronsEventSubject
from pylon_client.nats.nats_connection import ConnectionOptions, connect
from pylon_client.v1 import AsyncConfig, AsyncPylonClient, BasePylonException, NetUid
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings
from tests.support.product.eventually import HANGS_AFTER_S, eventually
from tests.support.product.running_worker import Published
from tests.support.product.sizes import sized
from tests.support.product.worker_process import (
    ITS_TURN,
    READY,
    WorkerProcess,
    leader_among,
    worker_process,
)

NETUIDS = [NetUid(netuid) for netuid in (1, 2, 12, 101, 102)]
CLIENTS = sized(usual=100, full=500)
FETCHES = {
    "state_call:NeuronInfoRuntimeApi_get_neurons_lite",
    "state_call:SubnetInfoRuntimeApi_get_subnet_state",
}

ReadNeurons = Callable[[NetUid], Awaitable[int]]
"""A function that reads the latest neurons of a subnet and returns their block number."""


class Cluster:
    """The running processes; the chain makes blocks only on request."""

    def __init__(
        self,
        devnet: Devnet,
        published: Published,
        workers: list[WorkerProcess],
        clients: list[ReadNeurons],
    ) -> None:
        self.devnet = devnet
        self.workers = workers
        self._published = published
        self._clients = clients

    async def settled(self) -> None:
        """Wait until the newest block's neurons are published for every subnet."""
        newest = self.devnet.best_number
        for netuid in NETUIDS:
            subject = str(NeuronsEventSubject(netuid))
            await eventually(
                lambda subject=subject: self._published.numbers(subject)[-1:] == [newest],
            )

    async def read_with_all_clients(self) -> set[int]:
        """Read the latest neurons of a subnet with each client; return their block numbers."""
        netuids = [NETUIDS[number % len(NETUIDS)] for number in range(len(self._clients))]
        requests = zip(self._clients, netuids, strict=True)
        return set(
            await asyncio.gather(
                *(_read_until_answered(read_block, netuid) for read_block, netuid in requests)
            )
        )

    def numbers(self, netuid: NetUid) -> list[int]:
        """Return the blocks whose neurons of a subnet were published."""
        return self._published.numbers(str(NeuronsEventSubject(netuid)))

    def fetches(self) -> Counter[tuple[str, int, int | None]]:
        """Return the number of fetches by method, subnet and block, as counted by the node."""
        return Counter(
            (record.method, record.params[0], record.block_number)
            for record in self.devnet.requests()
            if record.method in FETCHES
        )


async def _read_until_answered(read_block: ReadNeurons, netuid: NetUid) -> int:
    async with asyncio.timeout(HANGS_AFTER_S):
        while True:
            try:
                return await read_block(netuid)
            except (BasePylonException, httpx.HTTPError):
                await asyncio.sleep(0.2)  # while NATS restarts


async def _over_http(stack: AsyncExitStack, url: str) -> ReadNeurons:
    client = await stack.enter_async_context(
        httpx.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=60)  # noqa: S501 -- no TLS
    )

    async def read_block(netuid: NetUid) -> int:
        answer = await client.get(f"/api/v1/subnet/{netuid}/block/latest/neurons")
        return answer.raise_for_status().json()["block"]["number"]

    return read_block


async def _over_nats(stack: AsyncExitStack, url: str) -> ReadNeurons:
    client = await stack.enter_async_context(AsyncPylonClient(AsyncConfig(address=url)))

    async def read_block(netuid: NetUid) -> int:
        return (await client.open_access.get_latest_neurons(netuid)).block.number

    return read_block


@asynccontextmanager
async def cluster(folder: Path, server: NatsServer) -> AsyncGenerator[Cluster]:
    settings = {
        "PYLON_NATS_WORKER_PASSWORD": WORKER_PASSWORD,
        "PYLON_TRACKED_NETUIDS": json.dumps(NETUIDS),
        "PYLON_HEAD_SILENCE_SECONDS": "600",
    }
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        devnet = await enter(Devnet(DevnetOptions(port=0, autostart=False, extra_subnets=2)))
        connection = await connect(ConnectionOptions((server.url,), WORKER_USER, WORKER_PASSWORD))
        stack.push_async_callback(connection.close)
        published = await enter(Published(connection))
        workers = [
            await enter(worker_process(folder, server.url, devnet.url, **settings))
            for _ in range(3)
        ]
        bridges = [
            await enter(BridgeProcess(folder, bridge_environment(server.url))) for _ in range(3)
        ]
        await asyncio.gather(*(worker.logs(READY) for worker in workers))
        clients = [await _over_nats(stack, server.url) for _ in range(CLIENTS // 2)]
        clients += [
            await _over_http(stack, bridges[number % len(bridges)].url)
            for number in range(CLIENTS // 2)
        ]
        yield Cluster(devnet, published, workers, clients)


@pytest.mark.slow
async def test_the_chain_is_read_once_per_block_and_subnet_across_crashes(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path, authorization_config(deployment_settings())) as server,
        cluster(tmp_path, server) as running,
    ):
        devnet = running.devnet
        leader = await leader_among(running.workers)
        for _ in range(3):
            await devnet.advance(1)
            await running.settled()
        newest = devnet.best_number
        assert await running.read_with_all_clients() <= {newest - 1, newest}

        await leader.kill()
        await devnet.advance(2)
        seen = await running.read_with_all_clients()
        others = [worker for worker in running.workers if worker is not leader]
        second = await leader_among(others)
        await running.settled()
        assert seen | await running.read_with_all_clients() <= set(range(newest, newest + 3))

        await server.kill()
        await devnet.advance(2)
        await server.start()
        await running.settled()
        await running.read_with_all_clients()
        for _ in range(2):
            await devnet.advance(1)
            await running.settled()
            await running.read_with_all_clients()

        assert second.log.count(ITS_TURN) >= 1
        fetches = running.fetches()
        assert set(fetches.values()) == {1}, "each subnet was fetched once at each block"
        for netuid in NETUIDS:
            numbers = running.numbers(netuid)
            assert numbers == list(range(numbers[0], devnet.best_number + 1))
            assert [block for _, of, block in fetches if of == netuid] == [
                block for block in numbers for _ in FETCHES
            ]
        assert len(fetches) == len(FETCHES) * len(NETUIDS) * len(running.numbers(NETUIDS[0]))
