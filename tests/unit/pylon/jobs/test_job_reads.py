"""Stored jobs are read one by one, or page by page in the order of their last changes."""

import pytest

from pylon.jobs import job_reads
from pylon.jobs.job_reads import all_jobs, newest_jobs, read_job
from pylon.jobs.stored_job import UnreadableEntryError
from pylon_client.contract.types import IdentityName, JobId
from tests.support.product.adversary import World
from tests.support.product.fake_signers import address
from tests.support.product.simulated_jobs import ALICE, SimulatedJobs


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_reads, "HISTORY_PAGE_SIZE", 2)


async def accepted(system: SimulatedJobs, count: int) -> list[JobId]:
    """Accept jobs, and return their ids in the order of their last changes."""
    ids = [(await system.accept({address(10 + n): 1.0})).job_id for n in range(count)]
    return sorted(ids, key=lambda job_id: system.world.store[f"job.alice.{job_id}"].revision)


async def test_a_job_is_read_by_its_id() -> None:
    system = SimulatedJobs(World())
    job = await system.accept()
    stored = await read_job(system.world.process(), ALICE, job.job_id)
    assert stored == await system.stored(job)
    assert await read_job(system.world.process(), ALICE, JobId("unknown")) is None
    assert await read_job(system.world.process(), IdentityName("bob"), job.job_id) is None


async def test_an_unreadable_job_is_an_error() -> None:
    system = SimulatedJobs(World())
    job = await system.accept()
    system.overwrite(f"job.alice.{job.job_id}")
    with pytest.raises(UnreadableEntryError, match=job.job_id):
        await read_job(system.world.process(), ALICE, job.job_id)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
async def test_all_pages_are_read_in_both_orders(count: int) -> None:
    system = SimulatedJobs(World())
    ids = await accepted(system, count)
    process = system.world.process()
    assert [one.job.job_id async for one in newest_jobs(process, ALICE)] == ids[::-1]
    assert [one.job.job_id async for one in all_jobs(process, ALICE)] == ids
    assert [one.job.job_id async for one in all_jobs(process)] == ids
    assert [one async for one in newest_jobs(process, IdentityName("bob"))] == []
    assert [one async for one in all_jobs(process, IdentityName("bob"))] == []


async def test_unreadable_jobs_are_skipped() -> None:
    system = SimulatedJobs(World())
    ids = await accepted(system, 3)
    system.overwrite(f"job.alice.{ids[1]}")
    process = system.world.process()
    assert [one.job.job_id async for one in newest_jobs(process, ALICE)] == [ids[2], ids[0]]
    assert [one.job.job_id async for one in all_jobs(process)] == [ids[0], ids[2]]


async def test_a_job_that_changes_while_all_are_read_is_not_skipped() -> None:
    system = SimulatedJobs(World())
    ids = await accepted(system, 5)
    reading = all_jobs(system.world.process())
    seen = [(await anext(reading)).job.job_id]
    changed = f"job.alice.{ids[4]}"
    system.overwrite(changed, system.world.store[changed].value)
    seen += [one.job.job_id async for one in reading]
    assert set(seen) == set(ids)
