"""Jobs of epochs that end sooner or later than was planned when they were accepted."""

from pylon.jobs.deadlines import DEADLINE_BLOCKS
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.jobs import JobState
from tests.support.product.adversary import World, address
from tests.unit.pylon.jobs.test_asked_again import pass_to
from tests.unit.pylon.jobs.test_endings import Office
from tests.unit.pylon.jobs.test_waiting_for_rights import looked_at


def limited_world(tempo: int) -> World:
    world = World(tempo=tempo, rate_limit_blocks=300)
    world.last_update[address(1)] = 95
    return world


async def test_acceptance_says_which_epoch_and_deadline_a_job_has() -> None:
    job = await Office(World(tempo=360)).accept()
    assert (job.accepted_block, job.epoch_block, job.deadline_block) == (100, 0, 360)


async def test_a_parked_job_ends_with_an_epoch_that_its_owner_triggers() -> None:
    world = limited_world(tempo=360)
    office = Office(world)
    parked = await looked_at(office, await office.accept())
    assert (parked.state, parked.deadline_block) == (JobState.WAITING, 360)
    pass_to(world, 120)
    world.triggered.append(120)
    again = await office.accept()
    assert again.job_id != parked.job_id
    assert (again.epoch_block, again.deadline_block) == (120, 480)
    assert (await looked_at(office, parked)).state is JobState.SUPERSEDED
    pass_to(world, 390)
    assert (await office.ended(again)).state is JobState.CONFIRMED


async def test_a_parked_job_that_is_not_asked_for_again_expires_with_the_triggered_epoch() -> None:
    world = limited_world(tempo=360)
    office = Office(world)
    parked = await looked_at(office, await office.accept())
    pass_to(world, 120)
    world.triggered.append(120)
    ended = await looked_at(office, parked)
    assert (ended.state, ended.deadline_block) == (JobState.EXPIRED, 120)
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.RATE_LIMITED


async def test_the_deadline_of_a_parked_job_follows_the_tempo() -> None:
    world = limited_world(tempo=360)
    office = Office(world)
    parked = await looked_at(office, await office.accept())
    world.tempo = 1000
    assert (await looked_at(office, parked)).deadline_block == 1000
    pass_to(world, 390)
    assert (await office.ended(parked)).state is JobState.CONFIRMED


async def test_without_epochs_a_job_has_a_deadline_all_the_same() -> None:
    world = limited_world(tempo=0)
    world.rate_limit_blocks = 2000
    office = Office(world)
    job = await looked_at(office, await office.accept())
    assert job.deadline_block == 100 + DEADLINE_BLOCKS
    pass_to(world, 100 + DEADLINE_BLOCKS)
    assert (await looked_at(office, job)).state is JobState.EXPIRED


async def test_a_parked_job_says_that_its_hotkey_was_deregistered() -> None:
    world = limited_world(tempo=360)
    office = Office(world)
    parked = await looked_at(office, await office.accept())
    world.own_uid = None
    job = await looked_at(office, parked)
    assert job.last_error is not None
    assert job.last_error.code is ErrorCode.NOT_REGISTERED
