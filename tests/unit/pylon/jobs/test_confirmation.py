"""Jobs whose extrinsic was submitted end as the chain shows, and in no other way."""

from typing import Any

import pytest

from pylon.chain.write_port import RevealStatus
from pylon.jetstream.consumer import Nak
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import JobKind, NetUid
from tests.support.product.adversary import Fault, Process, World
from tests.support.product.fake_signers import address
from tests.support.product.simulated_jobs import (
    ALICE,
    SimulatedJobs,
)

TIMELOCKED = {"commitment": "later", "blocks_until_reveal": 50}


LONG_AGO = 1000
"""A drand round of the year 2023."""


async def test_success_requires_the_chain_state() -> None:
    class Lying(Process):
        async def is_on_chain(self, *args: Any) -> bool:
            return False

    world = World()
    system = SimulatedJobs(world, process=Lying(world))
    job = await system.run_until_ended(await system.accept())
    assert job.state is JobState.FAILED
    assert job.last_error is not None
    assert job.last_error.code is ErrorCode.OUTCOME_UNKNOWN
    assert len(world.sent) == 1


async def test_a_job_whose_era_is_pruned_fails_and_names_the_missing_setting() -> None:
    class Forgetful(Process):
        async def find_extrinsic(self, *args: Any) -> Any:
            raise FailureError(ErrorCode.ARCHIVE_REQUIRED, "Set the archive.")

    world = World()
    system = SimulatedJobs(world, process=Forgetful(world))
    job = await system.run_until_ended(await system.accept())
    assert job.state is JobState.FAILED
    assert job.last_error is not None
    assert job.last_error.code is ErrorCode.OUTCOME_UNKNOWN
    assert job.last_error.detail == "Set the archive."


async def test_an_outdated_submission_is_signed_again_until_attempts_are_exhausted() -> None:
    class Outdated(Process):
        async def submit(self, signed: Any) -> None:
            self.world.faults = {self.world.steps: Fault.OUTDATED}
            await super().submit(signed)

    world = World()
    system = SimulatedJobs(world, attempts=3, process=Outdated(world))
    job = await system.run_until_ended(await system.accept())
    assert (job.state, job.attempts, world.sent) == (JobState.FAILED, 3, [])


async def test_a_job_in_flight_without_an_extrinsic_fails() -> None:
    system = SimulatedJobs(World())
    job = await system.accept({address(3): 1.0})
    await system.overwrite_job(job, state=JobState.UNKNOWN)
    ended = await system.run_until_ended(job)
    assert ended.state is JobState.FAILED
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.OUTCOME_UNKNOWN


async def committed(system: SimulatedJobs) -> Job:
    """Return a timelocked commitment that is on the chain."""
    wanted = WriteRequest(ALICE, NetUid(1), JobKind.REVEALED_COMMITMENT, TIMELOCKED)
    job = await system.acceptor.accept(wanted)
    for _ in range(20):
        job = await system.execute_once(job)
        if job.state is JobState.COMMITTED:
            return job
        system.world.tick()
    pytest.fail(f"it is {job.state}")


async def test_a_timelocked_commitment_is_tracked_until_its_reveal() -> None:
    system = SimulatedJobs(World())
    job = await committed(system)
    assert (job.has_succeeded, job.has_ended) == (True, False)
    stored = await system.stored(job)
    assert stored.record.request == {}, "timelocked content must not stay readable"
    assert isinstance(await system.executor.execute(ALICE, job.job_id), Nak)
    assert job.included_block is not None
    system.world.reveal_statuses[job.included_block] = RevealStatus.REVEALED
    ended = await system.execute_once(job)
    assert (ended.state, ended.has_succeeded) == (JobState.REVEALED, True)
    assert len(system.world.applied) == 1


async def test_a_failed_reveal_fails_the_job() -> None:
    system = SimulatedJobs(World())
    job = await committed(system)
    assert job.included_block is not None
    system.world.reveal_statuses[job.included_block] = RevealStatus.FAILED
    ended = await system.execute_once(job)
    assert ended.state is JobState.FAILED
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.CHAIN_REJECTED


async def test_a_commitment_not_revealed_within_the_timeout_fails() -> None:
    system = SimulatedJobs(World(reveal_round=LONG_AGO))
    job = await committed(system)
    ended = await system.execute_once(job)
    assert ended.state is JobState.FAILED
    assert ended.last_error is not None
    assert f"round {LONG_AGO}" in ended.last_error.detail


async def test_a_replaced_commitment_is_superseded() -> None:
    system = SimulatedJobs(World())
    first = await committed(system)
    assert first.included_block is not None
    second = await committed(system)
    assert second.job_id != first.job_id
    system.world.reveal_statuses[first.included_block] = RevealStatus.REPLACED
    ended = await system.execute_once(first)
    assert (ended.state, ended.superseded_by) == (JobState.SUPERSEDED, second.job_id)
