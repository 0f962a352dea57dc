"""Jobs that a worker cannot carry out end with the reason."""

import pytest

from pylon.jetstream.consumer import Ack
from pylon.jobs.job_endings import finish_if_unsupported, finish_restored, finish_wrong_chain
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import BlockNumber, JobKind
from tests.support.product.adversary import World
from tests.support.product.simulated_jobs import SimulatedJobs

UPDATES = {"deadline_block": BlockNumber(900)}


def error_of(job: Job) -> Failure:
    assert job.last_error is not None
    return job.last_error


@pytest.mark.parametrize(
    ("state", "ending"),
    [
        (JobState.ACCEPTED, JobState.REJECTED),
        (JobState.WAITING, JobState.REJECTED),
        (JobState.UNKNOWN, JobState.FAILED),
        (JobState.COMMITTED, JobState.FAILED),
    ],
)
async def test_a_job_of_another_chain_fails_if_it_may_have_been_carried_out_there(
    state: JobState, ending: JobState
) -> None:
    system = SimulatedJobs(World())
    job = await system.accept()
    kind = JobKind.REVEALED_COMMITMENT  # after COMMITTED, only this kind can end otherwise
    await system.overwrite_job(job, state=state, kind=kind, mechanism=None, genesis="0xother")
    assert isinstance(await finish_wrong_chain(system.store, await system.stored(job)), Ack)
    ended = (await system.stored(job)).job
    assert ended.state is ending
    assert error_of(ended).code is ErrorCode.WRONG_CHAIN
    assert "0xother" in error_of(ended).detail


async def test_a_restored_job_fails_with_an_unknown_outcome() -> None:
    system = SimulatedJobs(World())
    job = await system.accept()
    await system.overwrite_job(job, state=JobState.WAITING)
    assert isinstance(await finish_restored(system.store, await system.stored(job)), Ack)
    ended = (await system.stored(job)).job
    assert (ended.state, error_of(ended).code) == (JobState.FAILED, ErrorCode.OUTCOME_UNKNOWN)


async def test_an_unsupported_job_is_rejected_with_its_updates() -> None:
    system = SimulatedJobs(World())
    job = await system.accept()
    error = FailureError(ErrorCode.RUNTIME_UNSUPPORTED, "No set_weights.")
    stored = await system.stored(job)
    assert isinstance(await finish_if_unsupported(system.store, stored, error, UPDATES), Ack)
    ended = (await system.stored(job)).job
    assert (ended.state, ended.deadline_block) == (JobState.REJECTED, 900)
    assert error_of(ended) == error.failure


async def test_any_other_failure_is_raised_after_changed_fields_are_stored_once() -> None:
    system = SimulatedJobs(World())
    job = await system.accept()
    error = FailureError(ErrorCode.CHAIN_TIMEOUT, "late")
    for _ in range(2):
        with pytest.raises(FailureError) as raised:
            await finish_if_unsupported(system.store, await system.stored(job), error, UPDATES)
        assert raised.value is error
    pending = (await system.stored(job)).job
    assert (pending.state, pending.deadline_block) == (JobState.ACCEPTED, 900)
    assert len([change for change in system.changes if change.deadline_block == 900]) == 1
