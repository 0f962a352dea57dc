"""The job store: transitions, and the requests that it stores."""

import pytest

from pylon.jobs.job_store import IllegalTransitionError
from pylon_client.contract.jobs import JobState
from tests.support.product.adversary import World
from tests.support.product.simulated_jobs import (
    KNOWN,
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
