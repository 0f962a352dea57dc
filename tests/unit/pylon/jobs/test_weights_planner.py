"""Weights that the chain would refuse are deferred if the reason may disappear, else rejected."""

from dataclasses import replace
from typing import Any

import pytest

from pylon.chain.write_port import WeightsState
from pylon.jetstream.consumer import Ack
from pylon.jobs.unknown_hotkeys import UnknownHotkeyPolicy
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.jobs import JobState
from pylon_client.contract.types import NeuronUid
from tests.support.product.adversary import Process, World
from tests.support.product.fake_signers import address
from tests.support.product.simulated_jobs import (
    ALICE,
    KNOWN,
    STRANGER,
    SimulatedJobs,
)


async def test_weights_are_set_once_their_hotkey_is_registered() -> None:
    world = World(own_uid=None)
    system = SimulatedJobs(world)
    job = await system.execute_once(await system.accept())
    assert job.state is JobState.WAITING
    assert job.last_error is not None
    assert job.last_error.code is ErrorCode.NOT_REGISTERED
    assert job.attempts == 0
    world.own_uid = NeuronUid(0)
    assert (await system.run_until_ended(job)).state is JobState.CONFIRMED


async def test_a_deferred_job_is_stored_once() -> None:
    world = World(own_uid=None)
    system = SimulatedJobs(world)
    job = await system.accept()
    for _ in range(5):
        await system.execute_once(job)
        world.tick()
    assert [change.state for change in system.changes] == [JobState.ACCEPTED, JobState.WAITING]


@pytest.mark.parametrize(
    ("world", "code"),
    [
        (World(tempo=50, own_uid=None), ErrorCode.NOT_REGISTERED),
        (World(tempo=50, has_permit=False), ErrorCode.NO_VALIDATOR_PERMIT),
        (World(tempo=50, registered=set()), ErrorCode.NOT_REGISTERED),
    ],
)
async def test_a_lasting_refusal_expires_with_its_epoch(world: World, code: ErrorCode) -> None:
    system = SimulatedJobs(world)
    job = await system.run_until_ended(await system.accept())
    assert (job.state, world.sent) == (JobState.EXPIRED, [])
    assert job.last_error is not None
    assert job.last_error.code is code
    assert job.deadline_block == 150


async def test_a_neuron_that_weights_only_itself_needs_no_permit() -> None:
    world = World(has_permit=False, own_uid=NeuronUid(1))
    system = SimulatedJobs(world)
    assert (
        await system.run_until_ended(await system.accept({KNOWN: 1.0}))
    ).state is JobState.CONFIRMED


async def test_too_few_weights_are_rejected_at_once() -> None:
    world = World(least_weights=3)
    system = SimulatedJobs(world)
    job = await system.execute_once(await system.accept({KNOWN: 1.0, address(9): 1.0}))
    assert job.state is JobState.REJECTED
    assert job.last_error is not None
    assert "at least 3 weights" in job.last_error.detail


async def test_too_few_weights_wait_for_unregistered_hotkeys() -> None:
    world = World(least_weights=2, registered={KNOWN})
    system = SimulatedJobs(world)
    job = await system.execute_once(await system.accept({KNOWN: 1.0, STRANGER: 1.0}))
    assert job.state is JobState.WAITING
    world.registered = {KNOWN, STRANGER}
    ended = await system.run_until_ended(job)
    assert (ended.state, ended.left_out) == (JobState.CONFIRMED, [])


async def test_weights_that_round_to_zero_are_reported() -> None:
    system = SimulatedJobs(World())
    job = await system.run_until_ended(await system.accept({KNOWN: 1.0, STRANGER: 1e-9}))
    assert job.state is JobState.CONFIRMED
    assert [left.hotkey for left in job.left_out] == [STRANGER]
    assert "1/65535" in job.left_out[0].reason


async def test_weights_are_included_in_the_first_allowed_block() -> None:
    world = World(rate_limit_blocks=20)
    world.last_update[address(1)] = 95
    system = SimulatedJobs(world)
    job = await system.accept()
    while not isinstance(await system.executor.execute(ALICE, job.job_id), Ack):
        world.tick()
    (applied,) = world.applied
    assert applied.block == 115


async def test_a_lowered_rate_limit_ends_the_deferral() -> None:
    world = World(rate_limit_blocks=500)
    world.last_update[address(1)] = 95
    system = SimulatedJobs(world)
    job = await system.execute_once(await system.accept())
    assert job.retry_at_block == 595
    assert job.last_error is not None
    world.rate_limit_blocks = 10
    ended = await system.run_until_ended(job)
    assert ended.state is JobState.CONFIRMED
    assert ended.last_error is None, "it has succeeded"


async def test_timelocked_weights_wait_for_the_limit_of_unrevealed_commits() -> None:
    world = World(tempo=50, commit_reveal=True, unrevealed_commits=10)
    system = SimulatedJobs(world)
    job = await system.execute_once(await system.accept())
    assert (job.state, job.retry_at_block, world.sent) == (JobState.WAITING, 150, [])
    assert job.last_error is not None
    assert "TooManyUnrevealedCommits" in job.last_error.detail
    ended = await system.run_until_ended(job)
    # The first block of the next epoch accepts one more commit; it is also the job's last block.
    assert (ended.state, ended.included_block) == (JobState.COMMITTED, 150)
    assert len(world.sent) == 1


async def test_a_job_expires_with_its_epoch_and_its_last_error() -> None:
    world = World(tempo=50, rate_limit_blocks=1000)
    world.last_update[address(1)] = 90
    system = SimulatedJobs(world)
    job = await system.run_until_ended(await system.accept())
    assert job.state is JobState.EXPIRED
    assert job.deadline_block == 150
    assert job.last_error is not None
    assert job.last_error.code is ErrorCode.RATE_LIMITED
    assert job.retry_at_block == 1090
    assert world.applied == []


async def test_unknown_hotkeys_are_dropped_and_reported() -> None:
    world = World(registered={KNOWN})
    system = SimulatedJobs(world)
    job = await system.run_until_ended(await system.accept({KNOWN: 1.0, STRANGER: 2.0}))
    assert job.state is JobState.CONFIRMED
    assert [left.hotkey for left in job.left_out] == [STRANGER]


async def test_unknown_hotkeys_fail_the_job_if_so_configured() -> None:
    world = World(registered={KNOWN})
    system = SimulatedJobs(world, UnknownHotkeyPolicy.FAIL)
    job = await system.run_until_ended(await system.accept({KNOWN: 1.0, STRANGER: 2.0}))
    assert (job.state, world.applied) == (JobState.REJECTED, [])
    assert job.last_error is not None
    assert job.last_error.code is ErrorCode.NOT_REGISTERED


async def test_an_unknown_commit_reveal_version_is_rejected() -> None:
    class Newer(Process):
        async def weights_state(self, *args: Any) -> WeightsState:
            facts = await super().weights_state(*args)
            assert facts.commit_reveal is not None
            return replace(facts, commit_reveal=replace(facts.commit_reveal, version=5))

    world = World(commit_reveal=True)
    system = SimulatedJobs(world, process=Newer(world))
    job = await system.run_until_ended(await system.accept())
    assert (job.state, world.applied) == (JobState.REJECTED, [])
    assert job.last_error is not None
    assert "version 5" in job.last_error.detail


@pytest.mark.parametrize("request_", [{}, {"weights": None}, {"weights": {"x": "much"}}])
async def test_unreadable_weights_are_rejected(request_: Any) -> None:
    system = SimulatedJobs(World())
    job = await system.accept({address(3): 1.0})
    await system.overwrite_job(job, request=request_)
    ended = await system.run_until_ended(job)
    assert ended.state is JobState.REJECTED
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.INVALID
