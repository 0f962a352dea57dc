"""Commitments and certificates that cannot be planned are rejected or expire."""

import time
from typing import Any

import pytest

from pylon.chain.chain_identity import ChainIdentity
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.jobs import JobState
from pylon_client.contract.types import JobKind, NetUid
from tests.support.product.adversary import World
from tests.support.product.simulated_jobs import (
    ALICE,
    SimulatedJobs,
    Unreachable,
    advance_to,
)


@pytest.mark.parametrize("kind", sorted(set(JobKind) - {JobKind.WEIGHTS}))
@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"commitment": 1, "algorithm": 1, "public_key": None},
        {"commitment": "zz", "algorithm": "x", "public_key": "0x", "blocks_until_reveal": -1},
    ],
)
async def test_unreadable_requests_are_rejected(kind: JobKind, request_: Any) -> None:
    system = SimulatedJobs(World())
    job = await system.acceptor.accept(WriteRequest(ALICE, NetUid(1), kind, request_))
    assert (await system.run_until_ended(job)).state is JobState.REJECTED


async def test_a_commitment_accepted_without_the_chain_expires_by_its_acceptance_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(tempo=100)
    system = SimulatedJobs(world)
    await ChainRecord(world.process()).bind(ChainIdentity("devnet", world.genesis))
    cut_off = SimulatedJobs(world, chain=Unreachable(world))
    job = await cut_off.acceptor.accept(
        WriteRequest(ALICE, NetUid(1), JobKind.COMMITMENT, {"commitment": "0x00"})
    )
    advance_to(world, world.best + 937)
    monkeypatch.setattr(time, "time", lambda: world.made_at_ms(world.best) / 1000)
    assert (await system.execute_once(job)).state is JobState.EXPIRED
    assert world.sent == []
