"""Repeated and concurrent requests get one job, and superseded jobs end."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from pylon.jetstream.consumer import Nak
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import JobKind, NetUid
from pylon_client.contract.writes import ListJobs
from tests.support.product.adversary import Process, World
from tests.support.product.fake_signers import address
from tests.support.product.simulated_jobs import (
    ALICE,
    KNOWN,
    SimulatedJobs,
    Unreachable,
    advance_to,
)

SUBNET = NetUid(1)


TEMPO = 50


EPOCH_AT = 150


async def accept_commitment(system: SimulatedJobs, netuid: NetUid = SUBNET) -> Job:
    request = {"commitment": "0x00"}
    return await system.acceptor.accept(WriteRequest(ALICE, netuid, JobKind.COMMITMENT, request))


async def accept_cut_off(system: SimulatedJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt a write after its job is stored, before it is queued and the latest."""

    async def down(*_: object) -> None:
        raise FailureError(ErrorCode.NATS_UNAVAILABLE, "down")

    with monkeypatch.context() as patch:
        patch.setattr(system.store.latest, "set", down)
        patch.setattr(Process, "publish", down)
        with pytest.raises(FailureError):
            await system.accept()


async def test_an_interrupted_write_that_was_executed_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After such an interruption, requeueing executes the job."""
    world = World(tempo=TEMPO)
    system = SimulatedJobs(world)
    await system.run_until_ended(await system.accept({address(5): 1.0}))
    await accept_cut_off(system, monkeypatch)
    assert await system.acceptor.requeue_open_jobs(ALICE, JobKind.WEIGHTS) == 1
    swept = next(job for job in system.changes[::-1] if job.state is JobState.ACCEPTED)
    assert (await system.run_until_ended(swept)).state is JobState.CONFIRMED
    seen = {swept.job_id}
    for epoch in range(1, 4):
        advance_to(world, EPOCH_AT + epoch * TEMPO)
        job = await system.run_until_ended(await system.accept())
        assert job.state is JobState.CONFIRMED
        assert job.job_id not in seen
        seen.add(job.job_id)
    assert len(world.applied) == 1 + len(seen)


async def test_only_jobs_missing_in_the_queue_are_reported_as_requeued(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = SimulatedJobs(World(tempo=TEMPO))
    await accept_commitment(system)
    assert await system.acceptor.requeue_open_jobs(ALICE, JobKind.COMMITMENT) == 1
    assert "Requeued job" not in caplog.text
    await accept_cut_off(system, monkeypatch)
    assert await system.acceptor.requeue_open_jobs(ALICE, JobKind.WEIGHTS) == 1
    assert caplog.text.count("it was missing in the queue") == 1


async def test_an_interrupted_write_that_was_not_executed_is_done_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(tempo=TEMPO)
    system = SimulatedJobs(world)
    await accept_cut_off(system, monkeypatch)
    (entered,) = {job.job_id for job in system.changes}
    advance_to(world, EPOCH_AT + TEMPO)
    job = await system.accept()
    assert job.job_id != entered
    assert (await system.run_until_ended(job)).state is JobState.CONFIRMED
    stored = await system.store.get(ALICE, entered)
    assert stored is not None
    assert stored.job.state is JobState.SUPERSEDED
    assert len(world.applied) == 1


@pytest.mark.parametrize("is_deferred", [True, False])
async def test_weights_repeated_in_the_next_epoch_are_set_in_it(*, is_deferred: bool) -> None:
    world = World(tempo=TEMPO, rate_limit_blocks=40)
    world.last_update[address(1)] = 120
    system = SimulatedJobs(world)
    first = await system.accept()
    if is_deferred:
        assert isinstance(await system.executor.execute(ALICE, first.job_id), Nak)
        assert (await system.accept()).job_id == first.job_id, "its epoch is not over"
    advance_to(world, EPOCH_AT + 5)
    second = await system.accept()
    assert second.job_id != first.job_id
    assert (await system.run_until_ended(second)).state is JobState.CONFIRMED
    assert (await system.run_until_ended(first)).state is JobState.SUPERSEDED
    assert len(world.applied) == 1


async def test_a_repeated_commitment_joins_its_job_in_any_epoch() -> None:
    world = World(tempo=TEMPO)
    system = SimulatedJobs(world)
    first = await accept_commitment(system)
    advance_to(world, EPOCH_AT + TEMPO)
    assert (await accept_commitment(system)).job_id == first.job_id


async def test_a_repeated_write_after_a_move_is_for_the_new_subnet() -> None:
    system = SimulatedJobs(World(tempo=TEMPO))
    first = await accept_commitment(system)
    second = await accept_commitment(system, NetUid(2))
    assert second.netuid == 2
    assert (await system.run_until_ended(second)).state is JobState.CONFIRMED
    assert (await system.run_until_ended(first)).state is JobState.SUPERSEDED


class Dawdling(Process):
    """A process with random delays, during which blocks are made."""

    async def _strike(self, effect: Callable[[], Any]) -> Any:
        for _ in range(self.world.random.randrange(6)):
            await asyncio.sleep(0)
        if self.world.random.random() < 0.2:
            self.world.tick()
        return await super()._strike(effect)


# With the last three seeds, two jobs once superseded each other.
@pytest.mark.parametrize("seed", [*range(100), 2211, 3487, 5908])
async def test_concurrent_identical_requests_leave_one_job(seed: int) -> None:
    world = World(random=Random(seed))  # noqa: S311 -- guards nothing
    systems = [SimulatedJobs(world, process=Dawdling(world)) for _ in range(3)]
    await asyncio.gather(*(system.accept() for system in systems))
    jobs = [stored.job for stored in (await systems[0].store.page(ALICE, ListJobs())).jobs]
    states = sorted([(await systems[0].run_until_ended(job)).state for job in jobs])
    assert states == [JobState.CONFIRMED, *[JobState.SUPERSEDED] * (len(jobs) - 1)]
    assert len(world.applied) == 1


async def test_each_pending_job_is_listed_and_reported() -> None:
    system = SimulatedJobs(World())
    first = await system.accept()
    second = await system.accept({KNOWN: 2.0})
    stored = (await system.store.page(ALICE, ListJobs())).jobs
    assert {one.job.job_id: one.job.state for one in stored} == {
        first.job_id: JobState.SUPERSEDED,
        second.job_id: JobState.ACCEPTED,
    }
    assert [job.state for job in system.changes if job.job_id == first.job_id] == [
        JobState.ACCEPTED,
        JobState.SUPERSEDED,
    ]


async def test_the_same_content_joins_the_job_in_progress() -> None:
    system = SimulatedJobs(World())
    first = await system.accept()
    assert (await system.accept()).job_id == first.job_id
    await system.run_until_ended(first)
    assert (await system.accept()).job_id != first.job_id


async def test_without_a_known_chain_writes_are_rejected() -> None:
    world = World()
    with pytest.raises(FailureError) as refused:
        await SimulatedJobs(world, chain=Unreachable(world)).accept()
    assert refused.value.code is ErrorCode.CHAIN_UNAVAILABLE
    assert not any(key.startswith("job.") for key in world.store)


async def test_the_same_content_joins_the_latest_job_of_an_older_version() -> None:
    """Older workers store no digest with the latest job."""
    system = SimulatedJobs(World())
    first = await system.accept()
    system.overwrite("lane.alice.weights.0", f'{{"number":1,"job_id":"{first.job_id}"}}'.encode())
    assert (await system.accept()).job_id == first.job_id
    second = await system.accept({KNOWN: 2.0})
    assert second.job_id != first.job_id
    assert (await system.stored(first)).job.superseded_by == second.job_id


async def test_a_superseded_job_is_reported_at_once_and_its_marker_is_removed_later() -> None:
    system = SimulatedJobs(World())
    first = await system.accept()
    await system.accept({KNOWN: 2.0})
    assert (await system.stored(first)).job.state is JobState.SUPERSEDED
    marker = f"open.alice.weights.{first.job_id}"
    assert marker in system.world.store
    await system.executor.execute(ALICE, first.job_id)
    assert marker not in system.world.store
