"""Jobs restored from a backup of any moment end, and none is submitted twice."""

from collections import deque
from typing import Final

import pytest

from pylon.jetstream.bucket import Entry
from pylon.jetstream.consumer import Ack
from pylon.jobs.acceptor import JobAcceptor
from pylon.jobs.commitment_planner import CommitmentPlanner
from pylon.jobs.executor import JobExecutor
from pylon.jobs.job_store import BACKUP_PREFIXES, JobStore
from pylon.jobs.restored_jobs import prepare_restored
from pylon.jobs.retry_policy import RetryPolicy
from pylon.jobs.stored_job import JobRecord
from pylon.jobs.unknown_hotkeys import UnknownHotkeyPolicy
from pylon.jobs.weights_planner import WeightsPlanner
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import IdentityName, JobKind, MechanismId, NetUid, Revision
from tests.support.product.adversary import Fault, World
from tests.support.product.fake_signers import FakeSigner, address, signers_of

ALICE: Final = IdentityName("alice")
WEIGHTS: Final = WriteRequest(
    ALICE,
    NetUid(1),
    JobKind.WEIGHTS,
    {"weights": {address(7): 1.0}},
    MechanismId(0),
    idempotency_key="weights",
)
COMMITMENT: Final = WriteRequest(
    ALICE, NetUid(1), JobKind.COMMITMENT, {"commitment": "0x01"}, idempotency_key="text"
)


async def ignore_change(_job: Job) -> None:
    return


async def accept(world: World, wanted: WriteRequest) -> Job:
    process = world.process()
    store = JobStore(process, ignore_change, ended_retention_days=7)
    return await JobAcceptor(store, process, process, signers_of(ALICE)).accept(wanted)


async def carry_out(world: World) -> None:
    """Execute every queued job until all have ended."""
    process = world.process()
    retry_policy = RetryPolicy(3, 0.0)
    planners = dict.fromkeys(JobKind, CommitmentPlanner(process, retry_policy)) | {
        JobKind.WEIGHTS: WeightsPlanner(process, retry_policy, UnknownHotkeyPolicy.DROP)
    }
    store = JobStore(process, ignore_change, ended_retention_days=7)
    executor = JobExecutor(
        store, process, process, {ALICE: FakeSigner(1)}, planners, sleep=process.sleep
    )
    waiting = deque(job_id for queue in world.queues.values() for job_id in queue)
    for _ in range(1000):
        if not waiting:
            return
        job_id = waiting.popleft()
        if not isinstance(await executor.execute(ALICE, job_id), Ack):
            waiting.append(job_id)
        world.tick()
    pytest.fail("the jobs did not come to an end")


def restore(world: World, writes: list[tuple[str, bytes]]) -> None:
    """Replace the job store by its state after some writes."""
    kept = {key: value for key, value in writes if key.split(".")[0] in BACKUP_PREFIXES}
    world.store, world.queues, world.queued, world.leases, world.writes = {}, {}, set(), {}, []
    for key, value in kept.items():
        if not key.startswith("job."):
            world.store[key] = Entry(key, value, Revision(next(world.revisions)))
            continue
        record = prepare_restored(JobRecord.model_validate_json(value))
        job = record.job
        if not job.has_ended:
            marker = f"open.{ALICE}.{job.kind}.{job.job_id}"
            world.store[marker] = Entry(marker, b"", Revision(next(world.revisions)))
            world.queues.setdefault(f"{ALICE}.{job.kind}", deque()).append(job.job_id)
        value_now = record.model_dump_json().encode()
        world.store[key] = Entry(key, value_now, Revision(next(world.revisions)))


def jobs_in(world: World) -> list[Job]:
    return [
        JobRecord.model_validate_json(entry.value).job
        for key, entry in world.store.items()
        if key.startswith("job.")
    ]


async def test_a_restored_backup_repeats_no_write() -> None:
    world = World(includes_after_blocks=2)
    await accept(world, WEIGHTS)
    await accept(world, COMMITMENT)
    await carry_out(world)
    writes, applied = list(world.writes), list(world.applied)
    assert len(applied) == 2
    states = set[JobState]()
    for count in range(len(writes) + 1):
        restore(world, writes[:count])
        states |= {job.state for job in jobs_in(world) if not job.has_ended}
        await carry_out(world)
        assert world.applied == applied
        assert world.broken == []
        for job in jobs_in(world):
            assert job.has_ended
            if job.has_succeeded:
                assert job.extrinsic in [one.signed.record for one in applied]
            else:
                assert job.last_error is not None
                assert job.last_error.code is ErrorCode.OUTCOME_UNKNOWN
                assert "Restored from a backup" in job.last_error.detail
    assert JobState.SUBMITTING in states


async def test_a_job_retried_after_the_backup_is_not_submitted_again() -> None:
    world = World()
    await accept(world, WEIGHTS)
    # The first extrinsic is accepted and dropped; the executor finds that, and submits another.
    submit_step = await _step_of_first_submission()
    world = World({submit_step: Fault.SWALLOW})
    await accept(world, WEIGHTS)
    await carry_out(world)
    assert (len(world.sent), len(world.applied)) == (2, 1)
    first = world.sent[0].signed.record
    in_flight = next(
        count
        for count, (key, value) in enumerate(world.writes, 1)
        if key.startswith("job.")
        and JobRecord.model_validate_json(value).job.extrinsic == first
        and JobRecord.model_validate_json(value).job.state is JobState.SUBMITTING
    )
    restore(world, world.writes[:in_flight])
    await carry_out(world)
    (job,) = jobs_in(world)
    assert (job.state, len(world.sent)) == (JobState.FAILED, 2)
    assert job.last_error is not None
    assert "Restored from a backup" in job.last_error.detail
    assert "not included in any block of its era" in job.last_error.detail


async def _step_of_first_submission() -> int:
    world = World()
    await accept(world, WEIGHTS)
    for step in range(200):
        trial = World({step: Fault.SWALLOW})
        await accept(trial, WEIGHTS)
        await carry_out(trial)
        if any(one.swallowed for one in trial.sent):
            return step
    raise AssertionError("nothing was submitted")


async def test_the_same_key_returns_the_restored_job() -> None:
    world = World()
    first = await accept(world, WEIGHTS)
    await carry_out(world)
    restore(world, list(world.writes))
    again = await accept(world, WEIGHTS)
    assert (again.job_id, again.state) == (first.job_id, JobState.CONFIRMED)
    assert len(world.applied) == 1


async def test_restored_ended_jobs_have_no_request() -> None:
    world = World()
    await accept(world, COMMITMENT)
    restore(world, list(world.writes))
    (value,) = (entry.value for key, entry in world.store.items() if key.startswith("job."))
    record = JobRecord.model_validate_json(value)
    assert (record.job.state, record.request) == (JobState.FAILED, {})
