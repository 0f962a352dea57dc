"""What comes of asking for the same again without an idempotency key."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from pylon.jetstream.consumer import Nak
from pylon.jobs.acceptor import WriteRequest
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import JobKind, NetUid
from pylon_client.contract.writes import ListJobs
from tests.support.product.adversary import Process, World, address
from tests.unit.pylon.jobs.test_endings import ALICE, Office

SUBNET = NetUid(1)
TEMPO = 50
EPOCH_AT = 150


async def accept_commitment(office: Office, netuid: NetUid = SUBNET) -> Job:
    request = {"commitment": "0x00"}
    return await office.intake.accept(WriteRequest(ALICE, netuid, JobKind.COMMITMENT, request))


async def accept_cut_off(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """An intake that ends when the job is written down, before it has its place in the lane."""

    async def down(*_: object) -> None:
        raise FailureError(ErrorCode.NATS_UNAVAILABLE, "down")

    with monkeypatch.context() as patch:
        patch.setattr(office.ledger, "set_latest", down)
        with pytest.raises(FailureError):
            await office.accept()


def pass_to(world: World, block: int) -> None:
    while world.best < block:
        world.tick()


async def test_w1_what_was_done_without_its_place_in_the_lane_is_done_again_when_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A crash between writing the job down and giving it its place leaves it to the sweep."""
    world = World(tempo=TEMPO)
    office = Office(world)
    await office.ended(await office.accept({address(5): 1.0}))
    await accept_cut_off(office, monkeypatch)
    assert await office.intake.requeue_open_jobs(ALICE, JobKind.WEIGHTS) == 1
    swept = next(job for job in office.told[::-1] if job.state is JobState.ACCEPTED)
    assert (await office.ended(swept)).state is JobState.CONFIRMED
    seen = {swept.job_id}
    for epoch in range(1, 4):
        pass_to(world, EPOCH_AT + epoch * TEMPO)
        job = await office.ended(await office.accept())
        assert job.state is JobState.CONFIRMED
        assert job.job_id not in seen
        seen.add(job.job_id)
    assert len(world.applied) == 1 + len(seen)


async def test_a_job_that_is_in_the_queue_already_is_not_reported_as_queued_late(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(World(tempo=TEMPO))
    await accept_commitment(office)
    assert await office.intake.requeue_open_jobs(ALICE, JobKind.COMMITMENT) == 1
    assert "Requeued job" not in caplog.text
    await accept_cut_off(office, monkeypatch)
    assert await office.intake.requeue_open_jobs(ALICE, JobKind.WEIGHTS) == 1
    assert caplog.text.count("it was missing in the queue") == 1


async def test_w1_what_nobody_has_worked_on_without_its_place_is_done_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(tempo=TEMPO)
    office = Office(world)
    await accept_cut_off(office, monkeypatch)
    (entered,) = {job.job_id for job in office.told}
    pass_to(world, EPOCH_AT + TEMPO)
    job = await office.accept()
    assert job.job_id != entered
    assert (await office.ended(job)).state is JobState.CONFIRMED
    held = await office.ledger.get(ALICE, entered)
    assert held is not None
    assert held.job.state is JobState.SUPERSEDED
    assert len(world.applied) == 1


@pytest.mark.parametrize("looked_at", [True, False])
async def test_w11_weights_that_are_asked_for_again_in_the_next_epoch_are_set_in_it(
    *, looked_at: bool
) -> None:
    world = World(tempo=TEMPO, rate_limit_blocks=40)
    world.last_update[address(1)] = 120
    office = Office(world)
    first = await office.accept()
    if looked_at:
        assert isinstance(await office.runner.execute(ALICE, first.job_id), Nak)
        assert (await office.accept()).job_id == first.job_id, "its epoch is not over"
    pass_to(world, EPOCH_AT + 5)
    second = await office.accept()
    assert second.job_id != first.job_id
    assert (await office.ended(second)).state is JobState.CONFIRMED
    assert (await office.ended(first)).state is JobState.SUPERSEDED
    assert len(world.applied) == 1


async def test_a_commitment_that_is_asked_for_again_joins_whenever_that_is() -> None:
    world = World(tempo=TEMPO)
    office = Office(world)
    first = await accept_commitment(office)
    pass_to(world, EPOCH_AT + TEMPO)
    assert (await accept_commitment(office)).job_id == first.job_id


async def test_what_is_asked_for_after_the_identity_has_moved_is_for_its_new_subnet() -> None:
    office = Office(World(tempo=TEMPO))
    first = await accept_commitment(office)
    second = await accept_commitment(office, NetUid(2))
    assert second.netuid == 2
    assert (await office.ended(second)).state is JobState.CONFIRMED
    assert (await office.ended(first)).state is JobState.SUPERSEDED


class Dawdling(Process):
    """A process that takes its time over each step, and blocks pass meanwhile."""

    async def _strike(self, effect: Callable[[], Any]) -> Any:
        for _ in range(self.world.random.randrange(6)):
            await asyncio.sleep(0)
        if self.world.random.random() < 0.2:
            self.world.tick()
        return await super()._strike(effect)


# With the seeds that are named, two jobs once ended each other.
@pytest.mark.parametrize("seed", [*range(100), 2211, 3487, 5908])
async def test_w8_of_all_who_ask_for_the_same_at_once_one_job_remains(seed: int) -> None:
    world = World(random=Random(seed))  # noqa: S311 -- guards nothing
    offices = [Office(world, process=Dawdling(world)) for _ in range(3)]
    await asyncio.gather(*(office.accept() for office in offices))
    jobs = [held.job for held in (await offices[0].ledger.page(ALICE, ListJobs())).jobs]
    states = sorted([(await offices[0].ended(job)).state for job in jobs])
    assert states == [JobState.CONFIRMED, *[JobState.SUPERSEDED] * (len(jobs) - 1)]
    assert len(world.applied) == 1
