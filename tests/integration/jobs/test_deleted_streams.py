"""Streams that are deleted while NATS and a worker run."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from nats.js.client import JetStreamContext

from pylon_client._async.identity import AsyncIdentity
from pylon_client.contract.jobs import JobState
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.topology import JOB_QUEUE, STREAMS, StreamPlan
from pylon_client.contract.types import MechanismId, NetUid
from pylon_client.events.feed import EventFeed, event_log_via_worker
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.replicas import Nats
from tests.support.product.deployment import token_of
from tests.support.product.eventually import comes_true, eventually
from tests.support.product.free_ports import free_ports
from tests.support.product.job_deployment import (
    SUBNETS,
    client_of,
    ended,
    is_deferred,
    make_wallets,
    signing_settings,
    wait_until,
    weights_of,
)
from tests.support.product.worker_process import WorkerProcess, worker_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

BLOCKS = str(BlockEventSubject())
NEURONS = str(NeuronsEventSubject(NetUid(1)))
LATEST_NEURONS = "pylon.v1.open.1.neurons.latest"
BLOCK_TIME_S = 0.5
LIMIT_BLOCKS = 30
AHEAD_MAX_BLOCKS = 10
"""Maximum blocks between chain and subscriber: fewer than the stream and a publisher keep."""
RECREATED = "The stream {} was missing and was created again"


@dataclass
class Running:
    """A worker on one or three servers, an identity that sends requests, and a block subscriber.

    Attributes:
        connection: of that identity to NATS, also where it asks over REST.
        makes_blocks: while it is set, blocks are made at the pace of the subscriber.
    """

    nats: Nats
    devnet: Devnet
    worker: WorkerProcess
    identity: AsyncIdentity
    connection: NatsConnection
    health: httpx.AsyncClient
    numbers: dict[str, list[int]] = field(default_factory=lambda: {BLOCKS: [], NEURONS: []})
    makes_blocks: asyncio.Event = field(default_factory=asyncio.Event)

    async def delete(self, *plans: StreamPlan) -> None:
        """Delete streams, and wait until each is recreated and logged once."""
        streams = JetStreamContext((await self.nats.connect()).nats, timeout=5)
        logged = {plan: self.worker.log.count(RECREATED.format(plan.name)) for plan in plans}
        await asyncio.gather(*(streams.delete_stream(plan.name) for plan in plans))
        for plan in plans:
            await self.worker.logs(RECREATED.format(plan.name), times=logged[plan] + 1)
            info = await streams.stream_info(plan.name)
            assert info.config.num_replicas == self.nats.replicas

    async def is_ready(self) -> bool:
        return (await self.health.get("/readyz")).status_code == 200

    async def make_blocks(self) -> None:
        while True:
            await self.makes_blocks.wait()
            oldest = min(numbers[-1] if numbers else 0 for numbers in self.numbers.values())
            if self.devnet.best_number < max(oldest, 1) + AHEAD_MAX_BLOCKS:
                await self.devnet.advance(1)
            await asyncio.sleep(BLOCK_TIME_S)

    async def listen(self) -> None:
        event_log = event_log_via_worker(self.connection)
        async with EventFeed(self.connection, list(self.numbers), event_log) as feed:
            async for event in feed:
                self.numbers[event.subject].append(event.block.number)


@asynccontextmanager
async def running(folder: Path, nats: Nats, address: str) -> AsyncGenerator[Running]:
    options = DevnetOptions(port=0, block_time_s=BLOCK_TIME_S, tempo_blocks=2000, active=False)
    async with AsyncExitStack() as stack:
        devnet = await stack.enter_async_context(Devnet(options))
        devnet.pause()
        make_wallets(folder, devnet)
        (port,) = free_ports(1)
        settings = signing_settings(folder / "wallets", SUBNETS, {name: name for name in SUBNETS})
        settings |= {
            "PYLON_NATS_STREAM_REPLICAS": str(nats.replicas),
            "PYLON_TRACKED_NETUIDS": "[1]",
            "PYLON_HEALTH_PORT": str(port),
        }
        worker = await stack.enter_async_context(
            worker_process(folder, ",".join(nats.urls), devnet.url, **settings)
        )
        await worker.logs("The worker is ready")
        user = ConnectionOptions(urls=nats.urls, user="sn2", password=token_of("sn2"))
        connection = await connect(user)
        stack.push_async_callback(connection.close)
        health = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30)
        )
        client = await stack.enter_async_context(client_of(address, "sn2"))
        running = Running(nats, devnet, worker, client.identity, connection, health)
        running.makes_blocks.set()
        tasks = {
            asyncio.create_task(running.listen()),
            asyncio.create_task(running.make_blocks()),
        }
        await comes_true(running.is_ready)
        await eventually(lambda: all(running.numbers.values()))
        try:
            yield running
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def errors_of(worker: WorkerProcess) -> list[str]:
    return [line for line in worker.log.splitlines() if " ERROR " in line]


async def test_reads_writes_and_events_continue_after_a_stream_was_deleted(
    nats: Nats, address: str, tmp_path: Path
) -> None:
    async with running(tmp_path, nats, address) as running_here:
        deleted: list[Sequence[StreamPlan]] = [*((plan,) for plan in STREAMS), STREAMS]
        for number, plans in enumerate(deleted):
            await running_here.delete(*plans)
            answer = await running_here.identity.set_commitment(f"0x{number:02x}")
            assert answer.detail == "Commitment set successfully."
            await running_here.connection.request(LATEST_NEURONS)
            newest = running_here.devnet.best_number
            for numbers in running_here.numbers.values():
                await eventually(lambda of=numbers, newest=newest: of[-1] > newest)
            await comes_true(running_here.is_ready)
        # Every block was received once and in order, also blocks made without a stream.
        for numbers in running_here.numbers.values():
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert len(errors_of(running_here.worker)) == sum(map(len, deleted)), errors_of(
            running_here.worker
        )


async def test_a_job_whose_message_was_lost_is_requeued_beside_newer_ones(
    nats: Nats, address: str, tmp_path: Path
) -> None:
    async with running(tmp_path, nats, address) as running_here:
        devnet, identity = running_here.devnet, running_here.identity
        devnet.set_storage("SubtensorModule", "MechanismCountCurrent", [2], 2)
        first = await identity.put_weights(weights_of(devnet, 2, 3))
        await ended(identity, first.job_id)
        devnet.set_hyperparameter(2, "WeightsSetRateLimit", LIMIT_BLOCKS)
        await devnet.advance(2)
        running_here.makes_blocks.clear()
        deferred = await identity.put_weights(weights_of(devnet, 2, 4))
        await wait_until(identity, deferred.job_id, is_deferred)
        await running_here.delete(JOB_QUEUE)
        # While the chain makes no blocks, this job keeps the new queue from being idle.
        newer = await identity.put_weights(weights_of(devnet, 2, 5), MechanismId(1))
        await running_here.worker.logs(
            f"Requeued job {deferred.job_id} of sn2: it was missing in the queue"
        )
        await devnet.advance(LIMIT_BLOCKS)
        running_here.makes_blocks.set()
        for job in (deferred, newer):
            assert (await ended(identity, job.job_id)).state is JobState.CONFIRMED
        assert len(errors_of(running_here.worker)) == 1
    assert sum(sum(calls.values()) for calls in devnet.applied_counts().values()) == 3
