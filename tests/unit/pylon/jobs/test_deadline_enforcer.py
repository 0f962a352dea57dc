"""Jobs that no signer works on: they end in time all the same."""

from typing import Any, NoReturn

import pytest

from pylon.jobs.acceptor import WriteRequest
from pylon.jobs.deadline_enforcer import DeadlineEnforcer
from pylon.jobs.signer_directory import SignerDirectory
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import JobKind, NetUid
from tests.support.product.adversary import ERA_BLOCKS, Process, World, signers_of
from tests.support.product.simulated_jobs import (
    ALICE,
    SimulatedJobs,
    accept_without_chain,
    advance_to,
)


def keeper_of(system: SimulatedJobs, signers: SignerDirectory | None = None) -> DeadlineEnforcer:
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
async def test_a_job_that_nothing_signs_ends_by_its_deadline_and_says_why(kind: JobKind) -> None:
    system = SimulatedJobs(World(tempo=200))
    accepted = await (
        system.accept()
        if kind is JobKind.WEIGHTS
        else system.acceptor.accept(WriteRequest(ALICE, NetUid(1), kind, {"commitment": "0x00"}))
    )
    assert accepted.deadline_block is not None
    keeper = keeper_of(system)
    advance_to(system.world, accepted.deadline_block - 1)
    await keeper.check()
    assert (await job_of(system, accepted)).state is JobState.ACCEPTED
    advance_to(system.world, accepted.deadline_block + 10)
    await keeper.check()
    job = await job_of(system, accepted)
    assert job.state is JobState.EXPIRED
    assert job.last_error is not None
    assert "no signer" in job.last_error.detail


async def test_a_job_that_was_accepted_without_the_chain_gets_its_deadline() -> None:
    system, accepted = await accept_without_chain(World(tempo=360))
    advance_to(system.world, 110)
    await keeper_of(system).check()
    job = await job_of(system, accepted)
    assert (job.accepted_block, job.epoch_block, job.deadline_block) == (0, 0, 360)


async def test_the_deadline_of_a_job_that_nobody_looks_at_follows_the_chain() -> None:
    system = SimulatedJobs(World(tempo=360))
    accepted = await system.accept()
    system.world.tempo = 1000
    await keeper_of(system).check()
    assert (await job_of(system, accepted)).deadline_block == 1000


async def test_what_a_signer_sent_that_is_gone_is_settled_when_its_era_is_over() -> None:
    class Cut(Process):
        async def find_extrinsic(self, *_: Any) -> NoReturn:
            raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "away")

    world = World(tempo=1000)
    system = SimulatedJobs(world, process=Cut(world))
    sent = await system.execute_once(await system.accept())
    assert sent.state is JobState.SUBMITTING
    other = SimulatedJobs(world)
    await keeper_of(other).check()
    assert (await job_of(other, sent)).state is JobState.SUBMITTING
    advance_to(world, world.best + ERA_BLOCKS + 2)
    await keeper_of(other, signers_of(ALICE)).check()
    assert (await job_of(other, sent)).state is JobState.SUBMITTING, "a signer is there"
    await keeper_of(other).check()
    assert (await job_of(other, sent)).state is JobState.CONFIRMED
    assert len(world.applied) == 1
