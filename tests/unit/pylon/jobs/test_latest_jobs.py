"""The latest job of each queue: compare-and-set, order, and entries that cannot be read."""

import pytest

from pylon.jetstream.bucket import ABSENT, ConflictError
from pylon.jobs.latest_jobs import LatestJob, LatestJobEntry, LatestJobs
from pylon.jobs.stored_job import JobRecord
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.types import JobId, JobKind, MechanismId, NetUid, Revision
from tests.support.product.adversary import World
from tests.support.product.fake_signers import address
from tests.support.product.simulated_jobs import ALICE, SimulatedJobs

WEIGHTS = JobSubject(ALICE, JobKind.WEIGHTS, MechanismId(0))


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

    lane = LatestJobEntry(LatestJob(number=2, job_id=JobId("a")), Revision(1))
    assert not lane.has_newer_than(record("a", 2))
    assert lane.has_newer_than(record("b", 2))
    assert lane.has_newer_than(record("b", 1))
    assert not lane.has_newer_than(record("b", 3))


async def test_a_queue_without_a_job_has_number_zero() -> None:
    entry = await LatestJobs(World().process()).entry(WEIGHTS)
    assert entry == LatestJobEntry(LatestJob(number=0, job_id=None), ABSENT)


async def test_the_latest_job_is_stored_by_compare_and_set() -> None:
    system = SimulatedJobs(World())
    latest = system.store.latest
    empty = await latest.entry(WEIGHTS)
    job = await system.accept()
    record = (await system.stored(job)).record
    entry = await latest.entry(WEIGHTS)
    assert entry.latest == LatestJob(number=1, job_id=job.job_id, digest=record.digest)
    with pytest.raises(ConflictError):
        await latest.set(empty, record)
    assert await latest.set(entry, record) == await latest.entry(WEIGHTS)


async def test_the_latest_job_of_each_queue_is_listed_and_unreadable_ones_are_skipped() -> None:
    system = SimulatedJobs(World())
    await system.accept({address(3): 1.0})
    newest = await system.accept({address(4): 1.0})
    system.overwrite("lane.alice.commitment", b'{"number":1,"job_id":"unreadable"}')
    system.overwrite("job.alice.unreadable")
    system.overwrite("lane.alice.certificate")
    system.overwrite("lane.alice.weights.1", b'{"number":1,"job_id":"removed"}')
    system.overwrite("lane.alice.weights.2", b"{}")
    system.overwrite("lane.bob.weights.0", b'{"number":1,"job_id":"removed"}')
    assert [stored.job.job_id for stored in await system.store.latest.list_jobs(ALICE)] == [
        newest.job_id
    ]


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
