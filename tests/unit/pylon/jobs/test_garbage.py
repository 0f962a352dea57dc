"""What a broken worker, or one of a newer version, has left in the ledger poisons nothing else."""

from typing import Any

import pytest

from pylon.common.signer import Signer
from pylon.jetstream.bucket import Entry
from pylon.jetstream.consumer import Ack, Nak
from pylon.jobs.acceptor import JobAcceptor, WriteRequest
from pylon.jobs.commitment_planner import CommitmentPlanner
from pylon.jobs.executor import JobExecutor
from pylon.jobs.job_store import JobStore, UnreadableEntryError
from pylon.jobs.retry_policy import RetryPolicy
from pylon.jobs.unknown_hotkeys import UnknownHotkeyPolicy
from pylon.jobs.weights_planner import WeightsPlanner
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import (
    IdentityName,
    JobId,
    JobKind,
    MechanismId,
    NetUid,
    Revision,
)
from pylon_client.contract.writes import ListJobs
from tests.support.product.adversary import FakeSigner, World, address, signers_of

ALICE = IdentityName("alice")
SIGNER: Signer = FakeSigner(1)
LANE = "lane.alice.weights.0"
SLOT = f"sent.{SIGNER.ss58_address}"


class Office:
    def __init__(self) -> None:
        self.world = World()
        process = self.world.process()
        self.ledger = JobStore(process, self._hear, ended_retention_days=7)
        self.intake = JobAcceptor(self.ledger, process, process, signers_of(ALICE))
        publishing = CommitmentPlanner(process, RetryPolicy(3, 0.0))
        works = dict.fromkeys(JobKind, publishing) | {
            JobKind.WEIGHTS: WeightsPlanner(process, RetryPolicy(3, 0.0), UnknownHotkeyPolicy.DROP)
        }
        self.runner = JobExecutor(
            self.ledger, process, process, {ALICE: SIGNER}, works, sleep=process.sleep
        )

    async def _hear(self, _: Job) -> None:
        pass

    async def accept(self, uid: int) -> Job:
        request = {"weights": {address(uid): 1.0}}
        wanted = WriteRequest(ALICE, NetUid(1), JobKind.WEIGHTS, request, MechanismId(0))
        return await self.intake.accept(wanted)

    async def worked(self, job_id: JobId) -> Job:
        for _ in range(100):
            if isinstance(await self.runner.execute(ALICE, job_id), Ack):
                break
            self.world.tick()
        held = await self.ledger.get(ALICE, job_id)
        assert held is not None
        return held.job

    def spoil(self, key: str, value: bytes = b"\xff{") -> None:
        revision = Revision(next(self.world.revisions))
        self.world.store[key] = Entry(key, value, revision)

    async def rewrite(self, job: Job, *, request: Any = None, **updates: Any) -> None:
        held = await self.ledger.get(ALICE, job.job_id)
        assert held is not None
        record = held.record.model_copy(
            update={
                "job": held.job.model_copy(update=updates),
                "request": held.record.request if request is None else request,
            }
        )
        self.spoil(f"job.alice.{job.job_id}", record.model_dump_json().encode())


async def test_a_job_that_cannot_be_read_is_told_of_and_gives_way_to_the_next() -> None:
    office = Office()
    broken = await office.accept(3)
    office.spoil(f"job.alice.{broken.job_id}")
    with pytest.raises(UnreadableEntryError) as unreadable:
        await office.ledger.get(ALICE, broken.job_id)
    assert unreadable.value.code is ErrorCode.UNDECODABLE
    assert await office.runner.execute(ALICE, broken.job_id) == Ack()
    following = await office.accept(4)
    assert (await office.worked(following.job_id)).state is JobState.CONFIRMED
    page = await office.ledger.page(ALICE, ListJobs())
    assert [held.job.job_id for held in page.jobs] == [following.job_id]


@pytest.mark.parametrize(
    "updates",
    [{"identity": IdentityName("bob")}, {"job_id": JobId("a" * 26)}, {"mechanism": None}],
)
async def test_an_entry_that_says_it_is_another_job_cannot_be_read(updates: Any) -> None:
    office = Office()
    job = await office.accept(3)
    await office.rewrite(job, **updates)
    with pytest.raises(UnreadableEntryError):
        await office.ledger.get(ALICE, job.job_id)
    assert (await office.ledger.page(ALICE, ListJobs())).jobs == []


async def test_a_lane_that_cannot_be_read_is_what_its_jobs_say() -> None:
    office = Office()
    first = await office.accept(3)
    newest = await office.accept(4)
    office.spoil(LANE)
    assert (await office.accept(4)).job_id == newest.job_id
    following = await office.accept(5)
    assert (await office.worked(newest.job_id)).state is JobState.SUPERSEDED
    assert (await office.worked(first.job_id)).state is JobState.SUPERSEDED
    assert (await office.worked(following.job_id)).state is JobState.CONFIRMED


async def test_a_slot_that_cannot_be_read_waits_for_what_may_be_on_its_way() -> None:
    office = Office()
    first = await office.accept(3)
    assert (await office.worked(first.job_id)).state is JobState.CONFIRMED
    # As a worker leaves it that dies between the ledger and the node.
    await office.rewrite(first, state=JobState.SUBMITTING)
    office.spoil(SLOT)
    following = await office.accept(4)
    assert isinstance(await office.runner.execute(ALICE, following.job_id), Nak)
    assert len(office.world.sent) == 1
    assert (await office.worked(first.job_id)).state is JobState.CONFIRMED
    assert (await office.worked(following.job_id)).state is JobState.CONFIRMED


@pytest.mark.parametrize("request_", [{}, {"weights": None}, {"weights": {"x": "much"}}])
async def test_weights_that_cannot_be_read_are_rejected(request_: Any) -> None:
    office = Office()
    job = await office.accept(3)
    await office.rewrite(job, request=request_)
    ended = await office.worked(job.job_id)
    assert ended.state is JobState.REJECTED
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.INVALID


@pytest.mark.parametrize("kind", sorted(set(JobKind) - {JobKind.WEIGHTS}))
@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"commitment": 1, "algorithm": 1, "public_key": None},
        {"commitment": "zz", "algorithm": "x", "public_key": "0x", "blocks_until_reveal": -1},
    ],
)
async def test_other_writes_that_cannot_be_read_are_rejected(kind: JobKind, request_: Any) -> None:
    office = Office()
    job = await office.intake.accept(WriteRequest(ALICE, NetUid(1), kind, request_))
    assert (await office.worked(job.job_id)).state is JobState.REJECTED


async def test_a_job_in_flight_that_does_not_say_what_was_sent_ends() -> None:
    office = Office()
    job = await office.accept(3)
    await office.rewrite(job, state=JobState.UNKNOWN)
    ended = await office.worked(job.job_id)
    assert ended.state is JobState.FAILED
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.OUTCOME_UNKNOWN
