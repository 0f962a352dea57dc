"""Deadlines follow the epochs of the chain, also when these move."""

from typing import Any, NoReturn

import pytest

from pylon.jobs.deadlines import DEADLINE_BLOCKS
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import JobState
from pylon_client.contract.types import JobKind, NetUid
from tests.support.product.adversary import Process, World
from tests.support.product.fake_signers import address
from tests.support.product.simulated_jobs import (
    ALICE,
    SimulatedJobs,
    accept_without_chain,
    advance_to,
)


def limited_world(tempo: int) -> World:
    world = World(tempo=tempo, rate_limit_blocks=300)
    world.last_update[address(1)] = 95
    return world


async def test_an_accepted_job_has_its_epoch_and_deadline() -> None:
    job = await SimulatedJobs(World(tempo=360)).accept()
    assert (job.accepted_block, job.epoch_block, job.deadline_block) == (100, 0, 360)


async def test_a_deferred_job_is_superseded_after_a_triggered_epoch() -> None:
    world = limited_world(tempo=360)
    system = SimulatedJobs(world)
    parked = await system.execute_once(await system.accept())
    assert (parked.state, parked.deadline_block) == (JobState.WAITING, 360)
    advance_to(world, 120)
    world.triggered.append(120)
    again = await system.accept()
    assert again.job_id != parked.job_id
    assert (again.epoch_block, again.deadline_block) == (120, 480)
    assert (await system.execute_once(parked)).state is JobState.SUPERSEDED
    advance_to(world, 390)
    assert (await system.run_until_ended(again)).state is JobState.CONFIRMED


async def test_a_deferred_job_expires_with_a_triggered_epoch() -> None:
    world = limited_world(tempo=360)
    system = SimulatedJobs(world)
    parked = await system.execute_once(await system.accept())
    advance_to(world, 120)
    world.triggered.append(120)
    ended = await system.execute_once(parked)
    assert (ended.state, ended.deadline_block) == (JobState.EXPIRED, 120)
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.RATE_LIMITED


async def test_the_deadline_of_a_deferred_job_follows_the_tempo() -> None:
    world = limited_world(tempo=360)
    system = SimulatedJobs(world)
    parked = await system.execute_once(await system.accept())
    world.tempo = 1000
    assert (await system.execute_once(parked)).deadline_block == 1000
    advance_to(world, 390)
    assert (await system.run_until_ended(parked)).state is JobState.CONFIRMED


async def test_without_epochs_a_job_has_a_deadline() -> None:
    world = limited_world(tempo=0)
    world.rate_limit_blocks = 2000
    system = SimulatedJobs(world)
    job = await system.execute_once(await system.accept())
    assert job.deadline_block == 100 + DEADLINE_BLOCKS
    advance_to(world, 100 + DEADLINE_BLOCKS)
    assert (await system.execute_once(job)).state is JobState.EXPIRED


async def test_a_deferred_job_reports_that_its_hotkey_was_deregistered() -> None:
    world = limited_world(tempo=360)
    system = SimulatedJobs(world)
    parked = await system.execute_once(await system.accept())
    world.own_uid = None
    job = await system.execute_once(parked)
    assert job.last_error is not None
    assert job.last_error.code is ErrorCode.NOT_REGISTERED


async def test_weights_accepted_without_the_chain_are_set_in_their_epoch() -> None:
    world = World(tempo=360)
    system, job = await accept_without_chain(world)
    assert (job.accepted_block, job.genesis) == (None, world.genesis)
    advance_to(world, world.best + 100)
    assert (await system.run_until_ended(job)).state is JobState.CONFIRMED


@pytest.mark.parametrize("blocks", [112, 586])
async def test_weights_accepted_without_the_chain_in_an_earlier_epoch_expire(blocks: int) -> None:
    world = World(tempo=100)
    system, job = await accept_without_chain(world)
    advance_to(world, world.best + blocks)
    ended = await system.execute_once(job)
    assert (ended.state, world.sent) == (JobState.EXPIRED, [])


@pytest.mark.parametrize("lag", range(7))
async def test_weights_of_the_first_block_belong_to_its_epoch(lag: int) -> None:
    """For any lag of the accepting worker within the tolerance."""
    world = World(tempo=50)
    system = SimulatedJobs(world, lag=lag)
    while world.best < 150:
        world.tick()
    assert (await system.run_until_ended(await system.accept())).state is JobState.CONFIRMED


@pytest.mark.parametrize("kind", [JobKind.COMMITMENT, JobKind.WEIGHTS])
async def test_a_job_that_cannot_be_signed_expires(kind: JobKind) -> None:
    class Unsigning(Process):
        async def sign(self, *_: Any) -> NoReturn:
            raise FailureError(ErrorCode.CHAIN_REJECTED, "The runtime does not offer this call.")

    world = World(tempo=50)
    system = SimulatedJobs(world, process=Unsigning(world))
    job = await (
        system.accept()
        if kind is JobKind.WEIGHTS
        else system.acceptor.accept(WriteRequest(ALICE, NetUid(1), kind, {"commitment": "0x00"}))
    )
    for _ in range(DEADLINE_BLOCKS + 1):
        await system.executor.execute(ALICE, job.job_id)
        world.tick()
    stored = await system.stored(job)
    assert stored.job.state is JobState.EXPIRED
