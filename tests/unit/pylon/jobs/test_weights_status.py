"""The weights status of an identity combines its jobs and the chain state."""

import pytest

from pylon.jetstream.bucket import Entry
from pylon.jobs import job_reads
from pylon.jobs.epochs import ACCEPTED_SLACK_BLOCKS
from pylon.jobs.weights_status import WeightsStatusHandler
from pylon.rpc.calls import CallResult, ServiceCall
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import WeightsStatus
from pylon_client.contract.operations import Scope
from pylon_client.contract.reads import WEIGHTS_STATUS, WeightsStatusParams
from pylon_client.contract.types import BlockNumber, MechanismId, NetUid, Revision
from tests.support.product.adversary import World
from tests.support.product.ended_jobs import record_of
from tests.support.product.simulated_jobs import ALICE, STRANGER, SimulatedJobs, advance_to

EPOCH = range(50, 150)
"""Blocks of the epoch in which the simulated chain starts."""


class Chain:
    """A read of the weights status on the chain."""

    def __init__(self, *, on_chain: bool | None = False) -> None:
        self.on_chain = on_chain

    async def __call__(self, _: ServiceCall) -> CallResult:
        if self.on_chain is None:
            raise FailureError(ErrorCode.NOT_FOUND, "not registered")
        shown = WeightsStatus(weights_submitted=self.on_chain, weights_on_chain=self.on_chain)
        return CallResult(json_codec.encode(shown))


async def status(
    system: SimulatedJobs, block: int, chain: Chain | None = None
) -> tuple[bool, bool]:
    call = ServiceCall(
        operation=WEIGHTS_STATUS.name,
        scope=Scope.IDENTITY,
        netuid=NetUid(1),
        identity=ALICE,
        params=WeightsStatusParams(block_number=BlockNumber(block), mechanism_id=MechanismId(0)),
        timeout_s=1.0,
        request_id="",
    )
    answer = await WeightsStatusHandler(
        system.store, system.world.process(), chain or Chain()
    ).handle(call)
    assert answer.block is None, "a cache would keep what a job may change"
    shown = WeightsStatus.model_validate_json(answer.body)
    return shown.weights_submitted, shown.weights_on_chain


def jobs_at_block_100() -> SimulatedJobs:
    world = World(tempo=100)
    world.triggered.append(EPOCH.start)
    return SimulatedJobs(world)


async def test_weights_count_from_their_acceptance_for_every_block_of_their_epoch() -> None:
    system = jobs_at_block_100()
    assert await status(system, 100) == (False, False)
    await system.accept()
    for block in (EPOCH.start, 100, EPOCH[-1]):
        assert await status(system, block) == (True, False)
    for block in (EPOCH.start - 1, EPOCH.stop):
        assert await status(system, block) == (False, False)


async def test_weights_count_after_inclusion_for_earlier_blocks_of_the_epoch() -> None:
    system = jobs_at_block_100()
    await system.run_until_ended(await system.accept())
    assert await status(system, EPOCH.start) == (True, False)
    assert await status(system, EPOCH[-1], Chain(on_chain=True)) == (True, True)


async def test_weights_of_an_epoch_count_after_newer_ones_in_the_next() -> None:
    system = jobs_at_block_100()
    await system.run_until_ended(await system.accept())
    advance_to(system.world, EPOCH.stop + 20)
    assert await status(system, EPOCH.stop + 20) == (False, False)
    await system.accept({STRANGER: 1.0})
    assert await status(system, EPOCH.stop + 20) == (True, False)
    assert await status(system, EPOCH.start) == (True, False)


async def test_weights_do_not_count_in_an_epoch_that_came_early() -> None:
    system = jobs_at_block_100()
    job = await system.run_until_ended(await system.accept())
    early = system.world.best + ACCEPTED_SLACK_BLOCKS + 1
    system.world.triggered.append(early)
    advance_to(system.world, early + 20)
    assert job.deadline_block == EPOCH.stop, "as the schedule was when it ended"
    assert await status(system, early - 1) == (True, False)
    assert await status(system, early) == (False, False)
    assert await status(system, early + 20) == (False, False)


async def test_weights_count_in_an_epoch_that_began_while_they_were_accepted() -> None:
    system = jobs_at_block_100()
    await system.accept()
    system.world.triggered.append(102)
    advance_to(system.world, 103)
    assert await status(system, 103) == (True, False)


async def test_weights_that_failed_do_not_count() -> None:
    system = jobs_at_block_100()
    job = await system.accept()
    await system.acceptor.cancel(ALICE, job.job_id)
    assert await status(system, 100) == (False, False)
    assert await status(system, 100, Chain(on_chain=True)) == (True, True)


async def test_weights_count_before_their_hotkey_is_registered() -> None:
    system = jobs_at_block_100()
    with pytest.raises(FailureError):
        await status(system, 100, Chain(on_chain=None))
    system.world.own_uid = None
    job = await system.execute_once(await system.accept())
    assert not job.has_ended
    assert await status(system, 100, Chain(on_chain=None)) == (True, False)


async def test_jobs_that_ended_before_the_epoch_are_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_reads, "HISTORY_PAGE_SIZE", 1)
    system = jobs_at_block_100()
    job = await system.accept()
    await system.acceptor.cancel(ALICE, job.job_id)
    before = system.world.steps
    assert await status(system, 100) == (False, False)
    steps = system.world.steps - before
    for number in range(50):
        older = record_of(ALICE, number)  # of years ago
        revision = Revision(-number)
        key = f"job.{ALICE}.{older.job.job_id}"
        system.world.store[key] = Entry(key, older.model_dump_json().encode(), revision)
    before = system.world.steps
    assert await status(system, 100) == (False, False)
    assert system.world.steps - before <= steps + 1
