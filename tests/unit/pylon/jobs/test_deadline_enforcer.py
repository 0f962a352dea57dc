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
from tests.unit.pylon.jobs.test_acceptance import accepted_without_chain
from tests.unit.pylon.jobs.test_asked_again import pass_to
from tests.unit.pylon.jobs.test_endings import ALICE, Office
from tests.unit.pylon.jobs.test_waiting_for_rights import looked_at


def keeper_of(office: Office, signers: SignerDirectory | None = None) -> DeadlineEnforcer:
    process = office.world.process()
    return DeadlineEnforcer(
        office.ledger,
        process,
        office.runner,
        signers or SignerDirectory([ALICE], grace_s=0),
        [ALICE],
    )


async def job_of(office: Office, job: Job) -> Job:
    held = await office.ledger.get(ALICE, job.job_id)
    assert held is not None
    return held.job


@pytest.mark.parametrize("kind", [JobKind.WEIGHTS, JobKind.COMMITMENT])
async def test_a_job_that_nothing_signs_ends_by_its_deadline_and_says_why(kind: JobKind) -> None:
    office = Office(World(tempo=200))
    accepted = await (
        office.accept()
        if kind is JobKind.WEIGHTS
        else office.intake.accept(WriteRequest(ALICE, NetUid(1), kind, {"commitment": "0x00"}))
    )
    assert accepted.deadline_block is not None
    keeper = keeper_of(office)
    pass_to(office.world, accepted.deadline_block - 1)
    await keeper.check()
    assert (await job_of(office, accepted)).state is JobState.ACCEPTED
    pass_to(office.world, accepted.deadline_block + 10)
    await keeper.check()
    job = await job_of(office, accepted)
    assert job.state is JobState.EXPIRED
    assert job.last_error is not None
    assert "no signer" in job.last_error.detail


async def test_a_job_that_was_accepted_without_the_chain_gets_its_deadline() -> None:
    office, accepted = await accepted_without_chain(World(tempo=360))
    pass_to(office.world, 110)
    await keeper_of(office).check()
    job = await job_of(office, accepted)
    assert (job.accepted_block, job.epoch_block, job.deadline_block) == (0, 0, 360)


async def test_the_deadline_of_a_job_that_nobody_looks_at_follows_the_chain() -> None:
    office = Office(World(tempo=360))
    accepted = await office.accept()
    office.world.tempo = 1000
    await keeper_of(office).check()
    assert (await job_of(office, accepted)).deadline_block == 1000


async def test_what_a_signer_sent_that_is_gone_is_settled_when_its_era_is_over() -> None:
    class Cut(Process):
        async def find_extrinsic(self, *_: Any) -> NoReturn:
            raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "away")

    world = World(tempo=1000)
    office = Office(world, process=Cut(world))
    sent = await looked_at(office, await office.accept())
    assert sent.state is JobState.SUBMITTING
    other = Office(world)
    await keeper_of(other).check()
    assert (await job_of(other, sent)).state is JobState.SUBMITTING
    pass_to(world, world.best + ERA_BLOCKS + 2)
    await keeper_of(other, signers_of(ALICE)).check()
    assert (await job_of(other, sent)).state is JobState.SUBMITTING, "a signer is there"
    await keeper_of(other).check()
    assert (await job_of(other, sent)).state is JobState.CONFIRMED
    assert len(world.applied) == 1
