"""Liveness and readiness from the state of a worker's parts."""

import asyncio
from typing import Any, cast

import pytest

from pylon.blocks.last_published import LastPublished
from pylon.blocks.snapshots import Snapshots
from pylon.common.task_supervisor import FAILING_AFTER, TaskSupervisor
from pylon.jetstream.write_health import WriteHealth
from pylon.worker.health import WorkerHealth
from pylon_client.contract.types import BlockNumber

HEAD = BlockNumber(1_000)


class ConnectedPart:
    """A connection, a request server and its service in one."""

    def __init__(self) -> None:
        self.is_connected = True
        self.is_serving = True
        self.connection = self
        self.service = self


class ManualClock:
    """Monotonic time that a test advances."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def health(clock: ManualClock) -> WorkerHealth:
    part: Any = ConnectedPart()
    health = WorkerHealth(
        Snapshots(max_silence_s=60, clock_s=clock),
        LastPublished(clock),
        WriteHealth(clock),
        head_max_age_s=60,
        head_max_lag_blocks=5,
        connection=part,
        request_thread=part,
    )
    health.snapshots.observe_head(HEAD)
    health.last_published.observe(HEAD)
    return health


def test_a_worker_with_a_fresh_head_and_published_blocks_is_ready(health: WorkerHealth) -> None:
    assert health.readiness_problems() == []
    assert health.liveness_problems() == []
    assert health.warnings() == []


def test_a_worker_without_a_head_is_not_ready(health: WorkerHealth, clock: ManualClock) -> None:
    health.snapshots = Snapshots(max_silence_s=60, clock_s=clock)
    assert health.readiness_problems() == ["no head of the chain was received yet"]


def test_an_old_head_is_a_problem_with_its_age(health: WorkerHealth, clock: ManualClock) -> None:
    clock.now_s += 61
    assert health.readiness_problems() == ["the chain's head is 61 s old"]


def test_a_lost_connection_affects_readiness_only(health: WorkerHealth) -> None:
    cast("Any", health.connection).is_connected = False
    assert health.readiness_problems() == ["no connection to NATS"]
    assert health.liveness_problems() == []


def test_a_lag_is_a_problem_only_while_no_block_is_published(
    health: WorkerHealth, clock: ManualClock
) -> None:
    health.snapshots.observe_head(BlockNumber(HEAD + 6))
    assert health.readiness_problems() == []
    clock.now_s += 61
    health.snapshots.observe_head(BlockNumber(HEAD + 7))
    (problem,) = health.readiness_problems()
    assert problem.startswith("no block was published for 61 s")
    health.last_published.observe(BlockNumber(HEAD + 7))
    assert health.readiness_problems() == []


async def test_an_ended_task_and_a_failing_part_end_the_liveness(health: WorkerHealth) -> None:
    ended = asyncio.create_task(asyncio.sleep(0), name="streams")
    await ended
    health.essential_tasks = {ended}
    supervisor = health.supervisor = TaskSupervisor(initial_delay_s=0, max_delay_s=0)

    async def fail() -> None:
        raise ValueError

    running = asyncio.create_task(supervisor.supervise("events", fail))
    while supervisor.restarts["events"] < FAILING_AFTER:
        await asyncio.sleep(0)
    problems = health.liveness_problems()
    running.cancel()
    assert problems == ["streams has ended", "events fails after every restart"]
