"""Weights that the chain would not take now, and may take before their epoch ends."""

import pytest

from pylon.jetstream.consumer import Ack
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import NeuronUid
from tests.support.product.adversary import World, address
from tests.unit.pylon.jobs.test_endings import ALICE, KNOWN, STRANGER, Office


async def looked_at(office: Office, job: Job) -> Job:
    await office.runner.execute(ALICE, job.job_id)
    held = await office.ledger.get(ALICE, job.job_id)
    assert held is not None
    return held.job


async def test_weights_are_set_once_their_hotkey_is_registered() -> None:
    world = World(own_uid=None)
    office = Office(world)
    job = await looked_at(office, await office.accept())
    assert job.state is JobState.WAITING
    assert job.last_error is not None
    assert job.last_error.code is ErrorCode.NOT_REGISTERED
    assert job.attempts == 0
    world.own_uid = NeuronUid(0)
    assert (await office.ended(job)).state is JobState.CONFIRMED


async def test_a_job_that_waits_is_written_down_once() -> None:
    world = World(own_uid=None)
    office = Office(world)
    job = await office.accept()
    for _ in range(5):
        await looked_at(office, job)
        world.tick()
    assert [told.state for told in office.told] == [JobState.ACCEPTED, JobState.WAITING]


@pytest.mark.parametrize(
    ("world", "code"),
    [
        (World(tempo=50, own_uid=None), ErrorCode.NOT_REGISTERED),
        (World(tempo=50, has_permit=False), ErrorCode.NO_VALIDATOR_PERMIT),
        (World(tempo=50, registered=set()), ErrorCode.NOT_REGISTERED),
    ],
)
async def test_what_does_not_become_right_expires_with_its_epoch(
    world: World, code: ErrorCode
) -> None:
    office = Office(world)
    job = await office.ended(await office.accept())
    assert (job.state, world.sent) == (JobState.EXPIRED, [])
    assert job.last_error is not None
    assert job.last_error.code is code
    assert job.deadline_block == 150


async def test_a_neuron_that_weighs_itself_alone_needs_no_permit() -> None:
    world = World(has_permit=False, own_uid=NeuronUid(1))
    office = Office(world)
    assert (await office.ended(await office.accept({KNOWN: 1.0}))).state is JobState.CONFIRMED


async def test_too_few_weights_are_rejected_at_once() -> None:
    world = World(least_weights=3)
    office = Office(world)
    job = await looked_at(office, await office.accept({KNOWN: 1.0, address(9): 1.0}))
    assert job.state is JobState.REJECTED
    assert job.last_error is not None
    assert "at least 3 weights" in job.last_error.detail


async def test_too_few_weights_wait_for_hotkeys_that_are_not_registered() -> None:
    world = World(least_weights=2, registered={KNOWN})
    office = Office(world)
    job = await looked_at(office, await office.accept({KNOWN: 1.0, STRANGER: 1.0}))
    assert job.state is JobState.WAITING
    world.registered = {KNOWN, STRANGER}
    ended = await office.ended(job)
    assert (ended.state, ended.left_out) == (JobState.CONFIRMED, [])


async def test_weights_that_round_to_zero_are_reported() -> None:
    office = Office(World())
    job = await office.ended(await office.accept({KNOWN: 1.0, STRANGER: 1e-9}))
    assert job.state is JobState.CONFIRMED
    assert [left.hotkey for left in job.left_out] == [STRANGER]
    assert "1/65535" in job.left_out[0].reason


async def test_weights_are_included_in_the_first_block_that_takes_them() -> None:
    world = World(rate_limit_blocks=20)
    world.last_update[address(1)] = 95
    office = Office(world)
    job = await office.accept()
    while not isinstance(await office.runner.execute(ALICE, job.job_id), Ack):
        world.tick()
    (applied,) = world.applied
    assert applied.block == 115


async def test_a_lowered_rate_limit_ends_the_wait() -> None:
    world = World(rate_limit_blocks=500)
    world.last_update[address(1)] = 95
    office = Office(world)
    job = await looked_at(office, await office.accept())
    assert job.retry_at_block == 595
    assert job.last_error is not None
    world.rate_limit_blocks = 10
    ended = await office.ended(job)
    assert ended.state is JobState.CONFIRMED
    assert ended.last_error is None, "it has succeeded"


async def test_no_sealed_weights_are_sent_beyond_what_the_chain_keeps() -> None:
    world = World(tempo=50, commit_reveal=True, unrevealed_commits=10)
    office = Office(world)
    job = await looked_at(office, await office.accept())
    assert (job.state, job.retry_at_block, world.sent) == (JobState.WAITING, 150, [])
    assert job.last_error is not None
    assert "TooManyUnrevealedCommits" in job.last_error.detail
    ended = await office.ended(job)
    # The block of the next epoch takes one more; it is also the job's last.
    assert (ended.state, ended.included_block) == (JobState.COMMITTED, 150)
    assert len(world.sent) == 1
