"""Jobs of which nothing may be sent before their caller is answered."""

from dataclasses import replace

import pytest

from pylon.jetstream.consumer import Ack, Nak
from pylon.jobs import executor
from pylon.jobs.acceptor import WriteRequest
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import JobState
from pylon_client.contract.types import JobKind, NetUid
from tests.support.product.adversary import World
from tests.unit.pylon.jobs.test_endings import ALICE, Office

CERTIFICATE = WriteRequest(
    ALICE,
    NetUid(1),
    JobKind.CERTIFICATE,
    {"algorithm": 1, "public_key": "0x" + "ab" * 32},
    submit_after_response=True,
)


async def test_nothing_is_sent_before_the_release() -> None:
    world = World()
    office = Office(world)
    job = await office.intake.accept(CERTIFICATE)
    for _ in range(5):
        assert isinstance(await office.runner.execute(ALICE, job.job_id), Nak)
        world.tick()
    assert world.sent == []
    await office.intake.release(job)
    assert (await office.ended(job)).state is JobState.CONFIRMED
    assert len(world.sent) == 1


async def test_a_job_that_is_never_released_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    office = Office(world)
    job = await office.intake.accept(CERTIFICATE)
    monkeypatch.setattr(executor, "RESPONSE_PENDING_MAX_S", 0.0)
    assert isinstance(await office.runner.execute(ALICE, job.job_id), Ack)
    held = await office.ledger.get(ALICE, job.job_id)
    assert held is not None
    assert held.job.state is JobState.CANCELLED
    assert held.job.last_error is not None
    assert held.job.last_error.code is ErrorCode.CANCELLED
    with pytest.raises(FailureError) as late:
        await office.intake.release(job)
    assert late.value.code is ErrorCode.CANCELLED
    assert world.sent == []


async def test_other_jobs_need_no_release() -> None:
    world = World()
    office = Office(world)
    job = await office.intake.accept(replace(CERTIFICATE, submit_after_response=False))
    assert (await office.ended(job)).state is JobState.CONFIRMED
