"""Unreadable entries, of a newer version or corrupt, affect no other job."""

from typing import Any

import pytest

from pylon.jetstream.consumer import Ack
from pylon.jobs.stored_job import UnreadableEntryError
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.jobs import JobState
from pylon_client.contract.types import IdentityName, JobId
from pylon_client.contract.writes import ListJobs
from tests.support.product.adversary import World
from tests.support.product.fake_signers import address
from tests.support.product.simulated_jobs import (
    ALICE,
    SimulatedJobs,
)


async def test_an_unreadable_job_is_reported_and_superseded() -> None:
    system = SimulatedJobs(World())
    broken = await system.accept({address(3): 1.0})
    system.overwrite(f"job.alice.{broken.job_id}")
    with pytest.raises(UnreadableEntryError) as unreadable:
        await system.store.get(ALICE, broken.job_id)
    assert unreadable.value.code is ErrorCode.UNDECODABLE
    assert await system.executor.execute(ALICE, broken.job_id) == Ack()
    following = await system.accept({address(4): 1.0})
    assert (await system.run_until_ended(following)).state is JobState.CONFIRMED
    page = await system.store.page(ALICE, ListJobs())
    assert [stored.job.job_id for stored in page.jobs] == [following.job_id]


@pytest.mark.parametrize(
    "updates",
    [{"identity": IdentityName("bob")}, {"job_id": JobId("a" * 26)}, {"mechanism": None}],
)
async def test_an_entry_with_the_key_of_another_job_is_unreadable(updates: Any) -> None:
    system = SimulatedJobs(World())
    job = await system.accept({address(3): 1.0})
    await system.overwrite_job(job, **updates)
    with pytest.raises(UnreadableEntryError):
        await system.store.get(ALICE, job.job_id)
    assert (await system.store.page(ALICE, ListJobs())).jobs == []
