"""A failed task of a worker is restarted; the process and its other tasks continue."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pylon.common.task_supervisor import FAILING_AFTER
from pylon.events.event_publisher import EventPublisher
from pylon.jobs.deadline_enforcer import DeadlineEnforcer
from pylon.worker.health import WorkerHealth
from pylon.worker.main import Worker
from pylon_client.contract.subjects import BLOCK_EVENTS
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.product.eventually import eventually
from tests.support.product.running_worker import connected, worker_on

LATEST_NEURONS = "pylon.v1.open.1.neurons.latest"


def restarts(worker: Worker, part: str) -> float:
    return (
        worker.metrics.registry.get_sample_value("pylon_worker_part_restarts_total", {"part": part})
        or 0.0
    )


async def test_a_failing_publisher_and_failing_jobs_are_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, check = EventPublisher.publish, DeadlineEnforcer.run
    failures = {"events": 3, "deadlines of jobs": 3}

    def fail(part: str) -> None:
        if failures[part]:
            failures[part] -= 1
            raise TypeError("PubAck.__init__() missing 2 required positional arguments")

    async def unsteady_publish(events: EventPublisher, *args: Any) -> None:
        fail("events")
        await publish(events, *args)

    async def unsteady_check(keeper: DeadlineEnforcer) -> None:
        fail("deadlines of jobs")
        await check(keeper)

    monkeypatch.setattr(EventPublisher, "publish", unsteady_publish)
    monkeypatch.setattr(DeadlineEnforcer, "run", unsteady_check)
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
        worker_on(server.url, devnet.url) as worker,
        connected(server.url) as connection,
    ):
        while any(failures.values()):
            await connection.request(LATEST_NEURONS, timeout_s=60)
            await asyncio.sleep(0.05)
        # With the failures over, blocks are published again.
        await eventually(lambda: worker.snapshots.get(BLOCK_EVENTS) is not None)
        await eventually(lambda: restarts(worker, "deadlines of jobs") == 3)
        assert restarts(worker, "events") == 3
        assert restarts(worker, "heads") == 0
        assert restarts(worker, "jobs") == 0
        assert not health_of(worker).liveness_problems()


async def test_a_task_that_keeps_failing_fails_the_liveness_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def always_fails(_: DeadlineEnforcer) -> None:
        raise ValueError

    monkeypatch.setattr(DeadlineEnforcer, "run", always_fails)
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
        worker_on(server.url, devnet.url) as worker,
        connected(server.url) as connection,
    ):
        await eventually(lambda: health_of(worker).liveness_problems())
        assert health_of(worker).liveness_problems() == [
            "deadlines of jobs fails after every restart"
        ]
        assert restarts(worker, "deadlines of jobs") >= FAILING_AFTER - 1
        await connection.request(LATEST_NEURONS, timeout_s=60)


def health_of(worker: Worker) -> WorkerHealth:
    return worker._health
