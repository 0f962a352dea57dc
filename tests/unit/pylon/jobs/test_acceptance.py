"""What is accepted while the chain cannot be reached, and for which chain."""

import time
from typing import Any, NoReturn

import pytest

from pylon.chain.chain_identity import ChainIdentity
from pylon.jobs.acceptor import WriteRequest
from pylon.jobs.chain_record import ChainRecord
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import JobKind, NetUid
from tests.support.product.adversary import Process, World
from tests.unit.pylon.jobs.test_asked_again import pass_to
from tests.unit.pylon.jobs.test_endings import ALICE, Office
from tests.unit.pylon.jobs.test_waiting_for_rights import looked_at


class Unreachable(Process):
    """A chain that does not answer."""

    async def genesis(self) -> NoReturn:
        raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "away")

    async def epoch(self, netuid: NetUid) -> NoReturn:
        raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "away")


async def accepted_without_chain(world: World) -> tuple[Office, Job]:
    """A job that was accepted by a worker which once knew the chain, and does not reach it."""
    office = Office(world)
    await ChainRecord(world.process()).bind(ChainIdentity("devnet", world.genesis))
    cut_off = Office(world, chain=Unreachable(world))
    return office, await cut_off.accept()


async def test_what_was_accepted_in_this_epoch_is_set_in_it() -> None:
    world = World(tempo=360)
    office, job = await accepted_without_chain(world)
    assert (job.accepted_block, job.genesis) == (None, world.genesis)
    pass_to(world, world.best + 100)
    assert (await office.ended(job)).state is JobState.CONFIRMED


@pytest.mark.parametrize("blocks", [112, 586])
async def test_what_was_accepted_in_an_earlier_epoch_expires(blocks: int) -> None:
    world = World(tempo=100)
    office, job = await accepted_without_chain(world)
    pass_to(world, world.best + blocks)
    ended = await looked_at(office, job)
    assert (ended.state, world.sent) == (JobState.EXPIRED, [])


async def test_a_commitment_is_bounded_by_the_time_of_its_acceptance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(tempo=100)
    office = Office(world)
    await ChainRecord(world.process()).bind(ChainIdentity("devnet", world.genesis))
    cut_off = Office(world, chain=Unreachable(world))
    job = await cut_off.intake.accept(
        WriteRequest(ALICE, NetUid(1), JobKind.COMMITMENT, {"commitment": "0x00"})
    )
    pass_to(world, world.best + 937)
    monkeypatch.setattr(time, "time", lambda: world.made_at_ms(world.best) / 1000)
    assert (await looked_at(office, job)).state is JobState.EXPIRED
    assert world.sent == []


async def test_without_any_chain_nothing_is_accepted() -> None:
    world = World()
    with pytest.raises(FailureError) as refused:
        await Office(world, chain=Unreachable(world)).accept()
    assert refused.value.code is ErrorCode.CHAIN_UNAVAILABLE
    assert not any(key.startswith("job.") for key in world.store)


async def test_a_job_of_another_chain_is_not_signed() -> None:
    world = World()
    office = Office(world)
    job = await office.accept()
    world.genesis = "0xb"
    ended = await looked_at(office, job)
    assert (ended.state, world.sent) == (JobState.REJECTED, [])
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.WRONG_CHAIN


async def test_what_was_sent_on_another_chain_is_not_sent_again() -> None:
    class Silent(Process):
        async def find_extrinsic(self, *_: Any) -> NoReturn:
            raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "away")

    world = World()
    office = Office(world, process=Silent(world))
    job = await looked_at(office, await office.accept())
    assert job.state is JobState.SUBMITTING
    world.genesis = "0xb"
    pass_to(world, world.best + 100)
    ended = await looked_at(Office(world), job)
    assert (ended.state, len(world.sent)) == (JobState.FAILED, 1)
    again = await Office(world).accept()
    assert again.genesis == "0xb"
    assert (await Office(world).ended(again)).state is JobState.CONFIRMED


async def test_a_chain_that_changes_between_plan_and_signature_gets_nothing() -> None:
    class Moving(Process):
        async def sign(self, *args: Any) -> Any:
            self.world.genesis = "0xb"
            return await super().sign(*args)

    world = World()
    office = Office(world, process=Moving(world))
    ended = await looked_at(office, await office.accept())
    assert (ended.state, world.sent) == (JobState.REJECTED, [])


async def test_a_write_that_the_runtime_does_not_support_ends_at_once_and_names_the_item() -> None:
    class Older(Process):
        async def weights_state(self, *_: Any) -> NoReturn:
            raise FailureError(ErrorCode.RUNTIME_UNSUPPORTED, "No SubtensorModule.Tempo.")

    world = World()
    office = Office(world, process=Older(world))
    ended = await looked_at(office, await office.accept())
    assert ended.state is JobState.REJECTED
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.RUNTIME_UNSUPPORTED
    assert "SubtensorModule.Tempo" in ended.last_error.detail
