"""How jobs end that are not simply confirmed, each by one circumstance."""

from dataclasses import replace
from typing import Any, NoReturn

import pytest

from pylon.chain.write_port import Epoch, WeightsState
from pylon.jetstream.consumer import Ack, Nak
from pylon.jobs.acceptor import JobAcceptor, WriteRequest
from pylon.jobs.commitment_planner import CommitmentPlanner
from pylon.jobs.deadlines import DEADLINE_BLOCKS
from pylon.jobs.executor import JobExecutor
from pylon.jobs.job_store import (
    IllegalTransitionError,
    JobRecord,
    JobStore,
    LatestJob,
    LatestJobEntry,
)
from pylon.jobs.retry_policy import RetryPolicy
from pylon.jobs.unknown_hotkeys import UnknownHotkeyPolicy
from pylon.jobs.weights_planner import WeightsPlanner
from pylon_client.contract.failures import ErrorCode, FailureError
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
from tests.support.product.adversary import FakeSigner, Fault, Process, World, address, signers_of

ALICE = IdentityName("alice")
SIGNER = FakeSigner(1)
KNOWN, STRANGER = address(7), address(8)


class Lagging(Process):
    """The chain as a node shows it that is some blocks behind."""

    def __init__(self, world: World, lag: int) -> None:
        super().__init__(world)
        self._lag = lag

    def _epoch(self) -> Epoch:
        return self.world.epoch(self.world.best - self._lag)


class Office:
    """One process that does everything."""

    def __init__(
        self,
        world: World,
        unknown: UnknownHotkeyPolicy = UnknownHotkeyPolicy.DROP,
        attempts: int = 3,
        process: Process | None = None,
        lag: int = 0,
        chain: Process | None = None,
    ) -> None:
        self.world = world
        process = process or world.process()
        retries = RetryPolicy(attempts, 0.0)
        self.told: list[Job] = []
        self.ledger = JobStore(process, self._hear, ended_retention_days=7)
        self.intake = JobAcceptor(
            self.ledger, process, chain or Lagging(world, lag), signers_of(ALICE)
        )
        publishing = CommitmentPlanner(process, retries)
        works = dict.fromkeys(JobKind, publishing) | {
            JobKind.WEIGHTS: WeightsPlanner(process, retries, unknown)
        }
        self.runner = JobExecutor(
            self.ledger, process, process, {ALICE: SIGNER}, works, sleep=process.sleep
        )

    async def _hear(self, job: Job) -> None:
        self.told.append(job)

    async def accept(self, weights: dict[str, float] | None = None) -> Job:
        request = {"weights": weights or {KNOWN: 1.0}}
        return await self.intake.accept(
            WriteRequest(ALICE, NetUid(1), JobKind.WEIGHTS, request, MechanismId(0))
        )

    async def ended(self, job: Job) -> Job:
        for _ in range(100):
            if isinstance(await self.runner.execute(ALICE, job.job_id), Ack):
                break
            self.world.tick()
        held = await self.ledger.get(ALICE, job.job_id)
        assert held is not None
        assert held.job.has_ended
        return held.job


async def test_w11_a_job_expires_with_its_epoch_and_says_what_stood_in_its_way() -> None:
    world = World(tempo=50, rate_limit_blocks=1000)
    world.last_update[address(1)] = 90
    office = Office(world)
    job = await office.ended(await office.accept())
    assert job.state is JobState.EXPIRED
    assert job.deadline_block == 150
    assert job.last_error is not None
    assert job.last_error.code is ErrorCode.RATE_LIMITED
    assert job.retry_at_block == 1090
    assert world.applied == []


async def test_w12_unknown_hotkeys_are_dropped_and_reported() -> None:
    world = World(registered={KNOWN})
    office = Office(world)
    job = await office.ended(await office.accept({KNOWN: 1.0, STRANGER: 2.0}))
    assert job.state is JobState.CONFIRMED
    assert [left.hotkey for left in job.left_out] == [STRANGER]


async def test_w12_unknown_hotkeys_fail_the_job_where_the_settings_say_so() -> None:
    world = World(registered={KNOWN})
    office = Office(world, UnknownHotkeyPolicy.FAIL)
    job = await office.ended(await office.accept({KNOWN: 1.0, STRANGER: 2.0}))
    assert (job.state, world.applied) == (JobState.REJECTED, [])
    assert job.last_error is not None
    assert job.last_error.code is ErrorCode.NOT_REGISTERED


async def test_w9_an_unknown_version_of_commit_reveal_is_refused() -> None:
    class Newer(Process):
        async def weights_state(self, *args: Any) -> WeightsState:
            facts = await super().weights_state(*args)
            assert facts.commit_reveal is not None
            return replace(facts, commit_reveal=replace(facts.commit_reveal, version=5))

    world = World(commit_reveal=True)
    office = Office(world, process=Newer(world))
    job = await office.ended(await office.accept())
    assert (job.state, world.applied) == (JobState.REJECTED, [])
    assert job.last_error is not None
    assert "version 5" in job.last_error.detail


async def test_w5_success_is_only_what_the_chain_shows() -> None:
    class Lying(Process):
        async def is_on_chain(self, *args: Any) -> bool:
            return False

    world = World()
    office = Office(world, process=Lying(world))
    job = await office.ended(await office.accept())
    assert job.state is JobState.FAILED
    assert job.last_error is not None
    assert job.last_error.code is ErrorCode.OUTCOME_UNKNOWN
    assert len(world.sent) == 1


async def test_a_job_whose_block_no_node_keeps_ends_and_says_which_setting_is_missing() -> None:
    class Forgetful(Process):
        async def find_extrinsic(self, *args: Any) -> Any:
            raise FailureError(ErrorCode.ARCHIVE_REQUIRED, "Set the archive.")

    world = World()
    office = Office(world, process=Forgetful(world))
    job = await office.ended(await office.accept())
    assert job.state is JobState.FAILED
    assert job.last_error is not None
    assert job.last_error.code is ErrorCode.OUTCOME_UNKNOWN
    assert job.last_error.detail == "Set the archive."


async def test_what_was_asked_is_forgotten_when_the_job_has_ended() -> None:
    office = Office(World())
    job = await office.accept({KNOWN: 1.0})
    held = await office.ledger.get(ALICE, job.job_id)
    assert held is not None
    assert held.record.request == {"weights": {KNOWN: 1.0}}
    await office.ended(job)
    held = await office.ledger.get(ALICE, job.job_id)
    assert held is not None
    assert held.record.request == {}


async def test_w3_an_outdated_submission_is_signed_again_until_the_attempts_are_used_up() -> None:
    class Outdated(Process):
        async def submit(self, signed: Any) -> None:
            self.world.faults = {self.world.steps: Fault.OUTDATED}
            await super().submit(signed)

    world = World()
    office = Office(world, attempts=3, process=Outdated(world))
    job = await office.ended(await office.accept())
    assert (job.state, job.attempts, world.sent) == (JobState.FAILED, 3, [])


async def test_w7_w10_each_pending_job_is_told_of_on_its_own() -> None:
    office = Office(World())
    first = await office.accept()
    second = await office.accept({KNOWN: 2.0})
    held = (await office.ledger.page(ALICE, ListJobs())).jobs
    assert {one.job.job_id: one.job.state for one in held} == {
        first.job_id: JobState.SUPERSEDED,
        second.job_id: JobState.ACCEPTED,
    }
    assert [job.state for job in office.told if job.job_id == first.job_id] == [
        JobState.ACCEPTED,
        JobState.SUPERSEDED,
    ]


async def test_the_same_content_joins_the_job_that_is_in_hand() -> None:
    office = Office(World())
    first = await office.accept()
    assert (await office.accept()).job_id == first.job_id
    await office.ended(first)
    assert (await office.accept()).job_id != first.job_id


@pytest.mark.parametrize("lag", range(7))
async def test_w11_weights_of_an_epochs_first_block_are_of_that_epoch(lag: int) -> None:
    """However far the worker that accepts them is behind, as long as it answers."""
    world = World(tempo=50)
    office = Office(world, lag=lag)
    while world.best < 150:
        world.tick()
    assert (await office.ended(await office.accept())).state is JobState.CONFIRMED


@pytest.mark.parametrize("kind", [JobKind.COMMITMENT, JobKind.WEIGHTS])
async def test_a_job_that_cannot_even_be_signed_ends_when_its_time_is_over(kind: JobKind) -> None:
    class Unsigning(Process):
        async def sign(self, *_: Any) -> NoReturn:
            raise FailureError(ErrorCode.CHAIN_REJECTED, "The runtime does not offer this call.")

    world = World(tempo=50)
    office = Office(world, process=Unsigning(world))
    job = await (
        office.accept()
        if kind is JobKind.WEIGHTS
        else office.intake.accept(WriteRequest(ALICE, NetUid(1), kind, {"commitment": "0x00"}))
    )
    for _ in range(DEADLINE_BLOCKS + 1):
        await office.runner.execute(ALICE, job.job_id)
        world.tick()
    held = await office.ledger.get(ALICE, job.job_id)
    assert held is not None
    assert held.job.state is JobState.EXPIRED


async def test_a_job_that_has_ended_cannot_be_changed() -> None:
    office = Office(World())
    job = await office.ended(await office.accept())
    held = await office.ledger.get(ALICE, job.job_id)
    assert held is not None
    for state in (None, JobState.WAITING):
        with pytest.raises(IllegalTransitionError):
            await office.ledger.change(held, state)


async def test_a_worker_without_the_hotkey_leaves_the_job_to_others() -> None:
    world = World()
    office = Office(world)
    job = await office.accept()
    process = world.process()
    stranger = JobExecutor(office.ledger, process, process, {}, {})
    assert isinstance(await stranger.execute(ALICE, job.job_id), Nak)
    assert (await office.ended(job)).state is JobState.CONFIRMED


def test_of_two_jobs_with_one_number_the_lane_has_chosen() -> None:
    def record(job_id: str, number: int) -> JobRecord:
        job = Job(
            job_id=JobId(job_id),
            identity=ALICE,
            netuid=NetUid(1),
            kind=JobKind.COMMITMENT,
            created_at_ms=0,
            updated_at_ms=0,
        )
        return JobRecord(job=job, number=number, digest="", request={})

    lane = LatestJobEntry(LatestJob(number=2, job_id=JobId("a")), Revision(1))
    assert not lane.has_newer_than(record("a", 2))
    assert lane.has_newer_than(record("b", 2))
    assert lane.has_newer_than(record("b", 1))
    assert not lane.has_newer_than(record("b", 3))
