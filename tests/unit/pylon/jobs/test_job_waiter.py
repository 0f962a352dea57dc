"""Requests wait for a job by its events, and by the job store if an event is lost."""

import asyncio
from collections.abc import Callable, Container
from typing import Any

import pytest

from pylon.jobs import job_waiter
from pylon.jobs.job_waiter import JobWaiter
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from tests.support.product.adversary import World
from tests.support.product.simulated_jobs import SimulatedJobs

LONG_S = 3600.0


class Watched:
    """A job that requests wait for, and its events."""

    def __init__(self, system: SimulatedJobs, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(job_waiter, "POLL_INTERVAL_S", LONG_S)
        self.system = system
        self.job = job
        self.subscriptions = 0
        self.reads = 0
        self.job_ids: Container[str] = ()
        self.observe: Callable[[Job], None] = lambda _job: None
        self.waiter = JobWaiter(system.store, self._subscribe)
        real_get = system.store.get

        async def get(*args: Any) -> Any:
            self.reads += 1
            return await real_get(*args)

        monkeypatch.setattr(system.store, "get", get)

    async def _subscribe(self, job_ids: Container[str], observe: Callable[[Job], None]) -> None:
        self.subscriptions += 1
        self.job_ids, self.observe = job_ids, observe

    async def waiting(self, count: int) -> list[asyncio.Task[Job]]:
        """Start requests that wait, and return when each has read the job store."""
        tasks = [asyncio.create_task(self.waiter.wait_until_done(self.job)) for _ in range(count)]
        reads = self.reads + count
        while self.reads < reads:
            await asyncio.sleep(0)
        return tasks

    def changed(self, state: JobState) -> Job:
        return self.job.model_copy(update={"state": state})


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    system = SimulatedJobs(World())
    return Watched(system, await system.accept(), monkeypatch)


async def test_one_subscription_wakes_all_waiting_requests(watched: Watched) -> None:
    tasks = await watched.waiting(50)
    assert watched.job.job_id in watched.job_ids
    watched.observe(watched.changed(JobState.SUBMITTING))
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    watched.observe(watched.changed(JobState.CONFIRMED))
    assert {job.state for job in await asyncio.gather(*tasks)} == {JobState.CONFIRMED}
    assert (watched.subscriptions, watched.reads) == (1, 50)
    assert watched.job.job_id not in watched.job_ids


async def test_polling_the_job_store_replaces_a_lost_event(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_waiter, "POLL_INTERVAL_S", 0.001)
    waiting = asyncio.create_task(watched.waiter.wait_until_done(watched.job))
    ended = await watched.system.run_until_ended(watched.job)
    assert await waiting == ended


async def test_a_job_that_has_ended_already_is_returned_at_once(watched: Watched) -> None:
    ended = await watched.system.run_until_ended(watched.job)
    assert await watched.waiter.wait_until_done(watched.job) == ended


async def test_a_cancelled_request_leaves_the_others_waiting(watched: Watched) -> None:
    first, second = await watched.waiting(2)
    first.cancel()
    await asyncio.wait({first})
    watched.observe(watched.changed(JobState.CANCELLED))
    assert (await second).state is JobState.CANCELLED


async def test_a_job_that_is_no_longer_stored_is_not_found(watched: Watched) -> None:
    watched.system.world.store.clear()
    with pytest.raises(FailureError) as refused:
        await watched.waiter.wait_until_done(watched.job)
    assert refused.value.code is ErrorCode.NOT_FOUND
