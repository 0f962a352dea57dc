"""Jobs whose extrinsic was submitted end as the chain shows, and in no other way."""

from typing import Any

import pytest

from pylon.chain.write_port import RevealStatus
from pylon.jetstream.consumer import Nak
from pylon.jobs.acceptor import WriteRequest
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import JobKind, NetUid
from tests.support.product.adversary import Fault, Process, World, address
from tests.support.product.simulated_jobs import (
    ALICE,
    SimulatedJobs,
)

SEALED = {"commitment": "later", "blocks_until_reveal": 50}


LONG_AGO = 1000
"""A round of drand of the year 2023."""


async def test_w5_success_is_only_what_the_chain_shows() -> None:
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


async def test_a_job_whose_block_no_node_keeps_ends_and_says_which_setting_is_missing() -> None:
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


async def test_w3_an_outdated_submission_is_signed_again_until_the_attempts_are_used_up() -> None:
    class Outdated(Process):
        async def submit(self, signed: Any) -> None:
            self.world.faults = {self.world.steps: Fault.OUTDATED}
            await super().submit(signed)

    world = World()
    system = SimulatedJobs(world, attempts=3, process=Outdated(world))
    job = await system.run_until_ended(await system.accept())
    assert (job.state, job.attempts, world.sent) == (JobState.FAILED, 3, [])


async def test_a_job_in_flight_that_does_not_say_what_was_sent_ends() -> None:
    system = SimulatedJobs(World())
    job = await system.accept({address(3): 1.0})
    await system.overwrite_job(job, state=JobState.UNKNOWN)
    ended = await system.run_until_ended(job)
    assert ended.state is JobState.FAILED
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.OUTCOME_UNKNOWN


async def committed(system: SimulatedJobs) -> Job:
    """A sealed commitment that is on the chain."""
    wanted = WriteRequest(ALICE, NetUid(1), JobKind.REVEALED_COMMITMENT, SEALED)
    job = await system.acceptor.accept(wanted)
    for _ in range(20):
        job = await system.execute_once(job)
        if job.state is JobState.COMMITTED:
            return job
        system.world.tick()
    pytest.fail(f"it is {job.state}")


async def test_a_sealed_commitment_is_followed_until_it_is_opened() -> None:
    system = SimulatedJobs(World())
    job = await committed(system)
    assert (job.has_succeeded, job.has_ended) == (True, False)
    stored = await system.stored(job)
    assert stored.record.request == {}, "what is sealed is not kept in the open"
    assert isinstance(await system.executor.execute(ALICE, job.job_id), Nak)
    assert job.included_block is not None
    system.world.seals[job.included_block] = RevealStatus.REVEALED
    ended = await system.execute_once(job)
    assert (ended.state, ended.has_succeeded) == (JobState.REVEALED, True)
    assert len(system.world.applied) == 1


async def test_a_reveal_that_failed_is_reported() -> None:
    system = SimulatedJobs(World())
    job = await committed(system)
    assert job.included_block is not None
    system.world.seals[job.included_block] = RevealStatus.FAILED
    ended = await system.execute_once(job)
    assert ended.state is JobState.FAILED
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.CHAIN_REJECTED


async def test_what_is_not_opened_long_after_its_round_has_failed() -> None:
    system = SimulatedJobs(World(reveal_round=LONG_AGO))
    job = await committed(system)
    ended = await system.execute_once(job)
    assert ended.state is JobState.FAILED
    assert ended.last_error is not None
    assert f"round {LONG_AGO}" in ended.last_error.detail


async def test_a_commitment_that_was_replaced_is_superseded() -> None:
    system = SimulatedJobs(World())
    first = await committed(system)
    assert first.included_block is not None
    second = await committed(system)
    assert second.job_id != first.job_id
    system.world.seals[first.included_block] = RevealStatus.REPLACED
    ended = await system.execute_once(first)
    assert (ended.state, ended.superseded_by) == (JobState.SUPERSEDED, second.job_id)
