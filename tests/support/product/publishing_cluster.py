"""Several workers that publish the neurons of the same subnets, and a subscriber to them."""

import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from pylon.jetstream.provision import provision_streams
from pylon_client.contract import headers
from pylon_client.contract.subjects import ALL_NEURONS_EVENTS, BLOCK_EVENTS, NeuronsEventSubject
from pylon_client.contract.types import NetUid
from pylon_client.nats.nats_client import ReceivedMsg
from pylon_client.nats.nats_connection import NatsConnection
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.product.eventually import eventually
from tests.support.product.running_worker import connected
from tests.support.product.worker_process import READY, WorkerProcess, worker_process

NETUIDS = [1, 2, 12, *range(101, 110)]
READ = "state_call:NeuronInfoRuntimeApi_get_neurons_lite"


class PublishingCluster:
    """Workers, the chain, and what a subscriber receives; blocks are made on request.

    Attributes:
        received: block numbers of the received events, by subject.
        publishers: the publishers that the newest block names.
    """

    def __init__(self, folder: Path, server: NatsServer, devnet: Devnet) -> None:
        self.devnet = devnet
        self.received: dict[str, list[int]] = {}
        self.publishers: list[str] = []
        self.workers: list[WorkerProcess] = []
        self._stack = AsyncExitStack()
        self._folder = folder
        self._server = server

    async def start(self, connection: NatsConnection) -> None:
        await provision_streams(connection)
        for subject in (BLOCK_EVENTS, ALL_NEURONS_EVENTS):
            await connection.subscribe(subject, self._on_message)
        await connection.flush()

    async def stop(self) -> None:
        await self._stack.aclose()

    async def add_worker(self, **settings: str) -> WorkerProcess:
        worker = await self._stack.enter_async_context(
            worker_process(
                self._folder,
                self._server.url,
                self.devnet.url,
                PYLON_TRACKED_NETUIDS=json.dumps(NETUIDS),
                PYLON_HEAD_SILENCE_SECONDS="600",
                **settings,
            )
        )
        await worker.logs(READY)
        self.workers.append(worker)
        return worker

    async def advance(self) -> None:
        """Make a block, and wait until its snapshots are published."""
        number = await self.devnet.advance(1)
        await self.settled(number)

    async def settled(self, number: int) -> None:
        await eventually(lambda: all(self.of(netuid)[-1:] == [number] for netuid in NETUIDS))

    async def advance_until_shared(self, workers: int) -> None:
        """Make blocks until a number of workers share the subnets of a block."""
        while len(self.publishers) != workers:
            await self.advance()

    def of(self, netuid: int) -> list[int]:
        """Return the blocks of the snapshots of a subnet that the subscriber has received."""
        return self.received.get(str(NeuronsEventSubject(NetUid(netuid))), [])

    def check(self) -> None:
        """Check that each snapshot was published once and in order, and read once."""
        for netuid in NETUIDS:
            numbers = self.of(netuid)
            assert numbers == list(range(numbers[0], self.devnet.best_number + 1)), netuid
        reads = Counter(
            (record.params[0], record.block_number)
            for record in self.devnet.requests()
            if record.method == READ
        )
        assert len(reads) == sum(len(self.of(netuid)) for netuid in NETUIDS)
        assert set(reads.values()) == {1}

    async def _on_message(self, message: ReceivedMsg) -> None:
        sent = message.headers or {}
        self.received.setdefault(message.subject, []).append(int(sent[headers.BLOCK_NUMBER]))
        if message.subject == BLOCK_EVENTS:
            self.publishers = sent.get(headers.PUBLISHERS, "").split()


@asynccontextmanager
async def publishing_cluster(folder: Path) -> AsyncGenerator[PublishingCluster]:
    """Run NATS and a chain without workers within the block."""
    async with (
        NatsServer(folder) as server,
        Devnet(DevnetOptions(port=0, autostart=False, extra_subnets=9, neurons=16)) as devnet,
        connected(server.url) as connection,
    ):
        cluster = PublishingCluster(folder, server, devnet)
        await cluster.start(connection)
        try:
            yield cluster
        finally:
            await cluster.stop()
