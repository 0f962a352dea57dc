"""Jobs that no signer executes end by their deadline."""

from typing import Any, NoReturn

import pytest

from pylon.jobs.deadline_enforcer import DeadlineEnforcer
from pylon.jobs.signer_directory import SignerDirectory
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import JobKind, NetUid
from tests.support.product.adversary import ERA_BLOCKS, Process, World
from tests.support.product.fake_signers import signers_of
from tests.support.product.simulated_jobs import (
    ALICE,
    SimulatedJobs,
    accept_without_chain,
    advance_to,
)


def enforcer_of(system: SimulatedJobs, signers: SignerDirectory | None = None) -> DeadlineEnforcer:
    process = system.world.process()
    return DeadlineEnforcer(
        system.store,
        process,
        system.executor,
        signers or SignerDirectory([ALICE], grace_s=0),
        [ALICE],
    )


async def job_of(system: SimulatedJobs, job: Job) -> Job:
    stored = await system.stored(job)
    return stored.job


@pytest.mark.parametrize("kind", [JobKind.WEIGHTS, JobKind.COMMITMENT])
async def test_an_unsigned_job_expires_with_the_reason(kind: JobKind) -> None:
    system = SimulatedJobs(World(tempo=200))
    accepted = await (
        system.accept()
        if kind is JobKind.WEIGHTS
        else system.acceptor.accept(WriteRequest(ALICE, NetUid(1), kind, {"commitment": "0x00"}))
    )
    assert accepted.deadline_block is not None
    enforcer = enforcer_of(system)
    advance_to(system.world, accepted.deadline_block - 1)
    await enforcer.check()
    assert (await job_of(system, accepted)).state is JobState.ACCEPTED
    advance_to(system.world, accepted.deadline_block + 10)
    await enforcer.check()
    job = await job_of(system, accepted)
    assert job.state is JobState.EXPIRED
    assert job.last_error is not None
    assert "no signer" in job.last_error.detail


async def test_a_job_accepted_without_the_chain_gets_its_deadline() -> None:
    system, accepted = await accept_without_chain(World(tempo=360))
    advance_to(system.world, 110)
    await enforcer_of(system).check()
    job = await job_of(system, accepted)
    assert (job.accepted_block, job.epoch_block, job.deadline_block) == (0, 0, 360)


async def test_the_deadline_of_an_unsigned_job_follows_the_tempo() -> None:
    system = SimulatedJobs(World(tempo=360))
    accepted = await system.accept()
    system.world.tempo = 1000
    await enforcer_of(system).check()
    assert (await job_of(system, accepted)).deadline_block == 1000


async def test_extrinsics_of_stopped_signers_are_confirmed_after_their_era() -> None:
    class Cut(Process):
        async def find_extrinsic(self, *_: Any) -> NoReturn:
            raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "away")

    world = World(tempo=1000)
    system = SimulatedJobs(world, process=Cut(world))
    sent = await system.execute_once(await system.accept())
    assert sent.state is JobState.SUBMITTING
    other = SimulatedJobs(world)
    await enforcer_of(other).check()
    assert (await job_of(other, sent)).state is JobState.SUBMITTING
    advance_to(world, world.best + ERA_BLOCKS + 2)
    await enforcer_of(other, signers_of(ALICE)).check()
    assert (await job_of(other, sent)).state is JobState.SUBMITTING, "a signer runs"
    await enforcer_of(other).check()
    assert (await job_of(other, sent)).state is JobState.CONFIRMED
    assert len(world.applied) == 1
