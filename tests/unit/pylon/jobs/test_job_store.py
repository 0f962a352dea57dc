"""The job store: transitions, stored requests, and latest jobs that cannot be read."""

import pytest

from pylon.jetstream.consumer import Nak
from pylon.jobs.job_store import IllegalTransitionError, LatestJob, LatestJobEntry
from pylon.jobs.stored_job import JobRecord
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import JobId, JobKind, NetUid, Revision
from tests.support.product.adversary import World
from tests.support.product.fake_signers import address
from tests.support.product.simulated_jobs import (
    ALICE,
    KNOWN,
    SIGNER,
    SimulatedJobs,
)


async def test_the_request_of_an_ended_job_is_removed() -> None:
    system = SimulatedJobs(World())
    job = await system.accept({KNOWN: 1.0})
    stored = await system.stored(job)
    assert stored.record.request == {"weights": {KNOWN: 1.0}}
    await system.run_until_ended(job)
    stored = await system.stored(job)
    assert stored.record.request == {}


async def test_a_job_that_has_ended_cannot_be_changed() -> None:
    system = SimulatedJobs(World())
    job = await system.run_until_ended(await system.accept())
    stored = await system.stored(job)
    for state in (None, JobState.WAITING):
        with pytest.raises(IllegalTransitionError):
            await system.store.change(stored, state)


def test_the_latest_entry_decides_between_jobs_with_one_number() -> None:
    def record(job_id: str, number: int) -> JobRecord:
        job = Job(
            job_id=JobId(job_id),
            identity=ALICE,
            netuid=NetUid(1),
            kind=JobKind.COMMITMENT,
            created_at_ms=0,
            updated_at_ms=0,
        )
        return JobRecord(job=job, number=number, digest="", request={})

    entry = LatestJobEntry(LatestJob(number=2, job_id=JobId("a")), Revision(1))
    assert not entry.has_newer_than(record("a", 2))
    assert entry.has_newer_than(record("b", 2))
    assert entry.has_newer_than(record("b", 1))
    assert not entry.has_newer_than(record("b", 3))


async def test_an_unreadable_latest_entry_is_rebuilt_from_the_jobs() -> None:
    system = SimulatedJobs(World())
    first = await system.accept({address(3): 1.0})
    newest = await system.accept({address(4): 1.0})
    system.overwrite("lane.alice.weights.0")
    assert (await system.accept({address(4): 1.0})).job_id == newest.job_id
    following = await system.accept({address(5): 1.0})
    assert (await system.run_until_ended(newest)).state is JobState.SUPERSEDED
    assert (await system.run_until_ended(first)).state is JobState.SUPERSEDED
    assert (await system.run_until_ended(following)).state is JobState.CONFIRMED


async def test_an_unreadable_in_flight_marker_waits_for_jobs_in_flight() -> None:
    system = SimulatedJobs(World())
    first = await system.accept({address(3): 1.0})
    assert (await system.run_until_ended(first)).state is JobState.CONFIRMED
    # The state that a worker leaves which crashes between the job store and the node.
    await system.overwrite_job(first, state=JobState.SUBMITTING)
    system.overwrite(f"sent.{SIGNER.ss58_address}")
    following = await system.accept({address(4): 1.0})
    assert isinstance(await system.executor.execute(ALICE, following.job_id), Nak)
    assert len(system.world.sent) == 1
    assert (await system.run_until_ended(first)).state is JobState.CONFIRMED
    assert (await system.run_until_ended(following)).state is JobState.CONFIRMED
