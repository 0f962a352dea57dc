"""Sealed commitments after they are on the chain: opened, broken, replaced, or never opened."""

import pytest

from pylon.chain.write_port import RevealStatus
from pylon.jetstream.consumer import Nak
from pylon.jobs.acceptor import WriteRequest
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import JobKind, NetUid
from tests.support.product.adversary import World
from tests.unit.pylon.jobs.test_endings import ALICE, Office
from tests.unit.pylon.jobs.test_waiting_for_rights import looked_at

SEALED = {"commitment": "later", "blocks_until_reveal": 50}
LONG_AGO = 1000
"""A round of drand of the year 2023."""


async def committed(office: Office) -> Job:
    """A sealed commitment that is on the chain."""
    wanted = WriteRequest(ALICE, NetUid(1), JobKind.REVEALED_COMMITMENT, SEALED)
    job = await office.intake.accept(wanted)
    for _ in range(20):
        job = await looked_at(office, job)
        if job.state is JobState.COMMITTED:
            return job
        office.world.tick()
    pytest.fail(f"it is {job.state}")


async def test_a_sealed_commitment_is_followed_until_it_is_opened() -> None:
    office = Office(World())
    job = await committed(office)
    assert (job.has_succeeded, job.has_ended) == (True, False)
    held = await office.ledger.get(ALICE, job.job_id)
    assert held is not None
    assert held.record.request == {}, "what is sealed is not kept in the open"
    assert isinstance(await office.runner.execute(ALICE, job.job_id), Nak)
    assert job.included_block is not None
    office.world.seals[job.included_block] = RevealStatus.REVEALED
    ended = await looked_at(office, job)
    assert (ended.state, ended.has_succeeded) == (JobState.REVEALED, True)
    assert len(office.world.applied) == 1


async def test_a_reveal_that_failed_is_reported() -> None:
    office = Office(World())
    job = await committed(office)
    assert job.included_block is not None
    office.world.seals[job.included_block] = RevealStatus.FAILED
    ended = await looked_at(office, job)
    assert ended.state is JobState.FAILED
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.CHAIN_REJECTED


async def test_what_is_not_opened_long_after_its_round_has_failed() -> None:
    office = Office(World(reveal_round=LONG_AGO))
    job = await committed(office)
    ended = await looked_at(office, job)
    assert ended.state is JobState.FAILED
    assert ended.last_error is not None
    assert f"round {LONG_AGO}" in ended.last_error.detail


async def test_a_commitment_that_was_replaced_is_superseded() -> None:
    office = Office(World())
    first = await committed(office)
    assert first.included_block is not None
    second = await committed(office)
    assert second.job_id != first.job_id
    office.world.seals[first.included_block] = RevealStatus.REPLACED
    ended = await looked_at(office, first)
    assert (ended.state, ended.superseded_by) == (JobState.SUPERSEDED, second.job_id)
