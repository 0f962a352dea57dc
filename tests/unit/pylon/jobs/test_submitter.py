"""A job is recorded before it is submitted, and a hotkey has one extrinsic in flight."""

from typing import Any, NoReturn

import pytest

from pylon.chain.write_port import SignedCall, WeightsCall
from pylon.jetstream.bucket import ConflictError
from pylon.jetstream.consumer import Ack, Acknowledgement, Nak
from pylon.jetstream.lease import Lease
from pylon.jobs.confirmation import ConfirmationTracker
from pylon.jobs.in_flight_markers import Submission
from pylon.jobs.job_planner import Submit
from pylon.jobs.retry_policy import RetryPolicy
from pylon.jobs.submitter import HOTKEY_BUSY_RETRY_S, JobSubmitter, LockedHotkey
from pylon.jobs.unknown_hotkeys import UnknownHotkeyPolicy
from pylon.jobs.weights_planner import WeightsPlanner
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import ExtrinsicRecord, Job, JobState
from pylon_client.contract.types import (
    BlockNumber,
    Hotkey,
    JobId,
    JobKind,
    MechanismId,
    NetUid,
    NeuronUid,
    Revision,
)
from tests.support.product.adversary import Fault, Process, World
from tests.support.product.fake_signers import address
from tests.support.product.simulated_jobs import ALICE, SIGNER, SimulatedJobs

HOTKEY = Hotkey(SIGNER.ss58_address)
FENCE = Revision(77)
LOCKED = LockedHotkey(HOTKEY, SIGNER, Lease(HOTKEY, FENCE, FENCE))
CALL = WeightsCall(NetUid(1), MechanismId(0), {NeuronUid(1): 65_535}, version_key=0)
PLAN = Submit(CALL, {"deadline_block": BlockNumber(900)})


class Submissions:
    """The submitter of one process, and its jobs."""

    def __init__(self, process: Process) -> None:
        self.world = process.world
        self.jobs = SimulatedJobs(self.world, process=process)
        store = self.jobs.store
        planners = {
            JobKind.WEIGHTS: WeightsPlanner(process, RetryPolicy(3, 0.0), UnknownHotkeyPolicy.DROP)
        }
        confirmation = ConfirmationTracker(store, process, planners, sleep=process.sleep)
        self.submitter = JobSubmitter(store, process, confirmation)

    async def submit(self, job: Job) -> Acknowledgement:
        return await self.submitter.submit(await self.jobs.stored(job), PLAN, LOCKED)

    async def stored(self, job: Job) -> Job:
        return (await self.jobs.stored(job)).job

    async def set_marker(self, submission: Submission) -> None:
        markers = self.jobs.store.in_flight
        await markers.set(await markers.get(HOTKEY), HOTKEY, submission)


def submission_of(job_id: JobId, world: World, genesis: str | None = None) -> Submission:
    record = ExtrinsicRecord(hash="0xab", nonce=0, era_birth=BlockNumber(world.final), era_period=8)
    return Submission(
        identity=ALICE, job_id=job_id, extrinsic=record, genesis=genesis or world.genesis
    )


async def test_the_extrinsic_is_recorded_before_it_is_submitted() -> None:
    recorded: list[tuple[Job, Submission | None]] = []

    class Observed(Process):
        async def submit(self, signed: SignedCall) -> None:
            marker = await submissions.jobs.store.in_flight.get(HOTKEY)
            recorded.append((await submissions.stored(job), marker.submission))
            await super().submit(signed)

    submissions = Submissions(Observed(World()))
    job = await submissions.jobs.accept()
    assert isinstance(await submissions.submit(job), Ack)
    ((at_submit, submission),) = recorded
    assert (at_submit.state, at_submit.attempts) == (JobState.SUBMITTING, 1)
    assert (at_submit.hotkey, at_submit.fence) == (HOTKEY, FENCE)
    assert at_submit.deadline_block == 900
    (sent,) = submissions.world.sent
    assert at_submit.extrinsic == sent.signed.record
    assert submission == Submission(
        identity=ALICE, job_id=job.job_id, extrinsic=sent.signed.record, genesis=job.genesis
    )
    assert (await submissions.stored(job)).state is JobState.CONFIRMED


async def test_nothing_is_signed_while_an_extrinsic_of_the_hotkey_may_be_included() -> None:
    submissions = Submissions(World().process())
    world = submissions.world
    other, job = await submissions.jobs.accept({address(3): 1.0}), await submissions.jobs.accept()
    submission = submission_of(other.job_id, world)
    await submissions.jobs.overwrite_job(
        other, state=JobState.UNKNOWN, extrinsic=submission.extrinsic
    )
    await submissions.set_marker(submission)
    assert await submissions.submit(job) == Nak(HOTKEY_BUSY_RETRY_S)
    assert (await submissions.stored(job)).state is JobState.ACCEPTED
    while world.final < submission.extrinsic.last_valid_block:
        world.tick()
    assert isinstance(await submissions.submit(job), Ack)


async def test_a_marker_of_another_chain_does_not_block_the_hotkey() -> None:
    submissions = Submissions(World().process())
    other, job = await submissions.jobs.accept({address(3): 1.0}), await submissions.jobs.accept()
    submission = submission_of(other.job_id, submissions.world, genesis="0xother")
    await submissions.jobs.overwrite_job(
        other, state=JobState.UNKNOWN, extrinsic=submission.extrinsic
    )
    await submissions.set_marker(submission)
    assert isinstance(await submissions.submit(job), Ack)


async def test_a_signature_for_another_chain_is_not_submitted() -> None:
    submissions = Submissions(World().process())
    job = await submissions.jobs.accept()
    submissions.world.genesis = "0xother"
    assert isinstance(await submissions.submit(job), Ack)
    ended = await submissions.stored(job)
    assert ended.state is JobState.REJECTED
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.WRONG_CHAIN
    assert submissions.world.sent == []


async def test_a_concurrent_submission_with_the_hotkey_stops_this_one() -> None:
    class Overtaken(Process):
        async def sign(self, *args: Any) -> SignedCall:
            signed = await super().sign(*args)
            await submissions.set_marker(submission_of(JobId("other"), self.world))
            return signed

    submissions = Submissions(Overtaken(World()))
    job = await submissions.jobs.accept()
    with pytest.raises(ConflictError):
        await submissions.submit(job)
    waiting = await submissions.stored(job)
    assert (waiting.state, waiting.extrinsic) == (JobState.WAITING, None)
    assert submissions.world.sent == []


async def test_an_unsupported_call_is_rejected_and_another_failure_stores_the_deadline() -> None:
    class Failing(Process):
        code = ErrorCode.CHAIN_UNAVAILABLE

        async def sign(self, *_: Any) -> NoReturn:
            raise FailureError(self.code, "No set_weights.")

    process = Failing(World())
    submissions = Submissions(process)
    job = await submissions.jobs.accept()
    with pytest.raises(FailureError, match="No set_weights"):
        await submissions.submit(job)
    pending = await submissions.stored(job)
    assert (pending.state, pending.deadline_block) == (JobState.ACCEPTED, 900)
    process.code = ErrorCode.RUNTIME_UNSUPPORTED
    assert isinstance(await submissions.submit(job), Ack)
    assert (await submissions.stored(job)).state is JobState.REJECTED


@pytest.mark.parametrize(
    ("fault", "state", "sent"),
    [(Fault.OUTDATED, JobState.WAITING, 0), (Fault.LOST_REPLY, JobState.CONFIRMED, 1)],
)
async def test_a_refusal_is_retried_and_a_lost_response_is_searched_on_the_chain(
    fault: Fault, state: JobState, sent: int
) -> None:
    class Faulty(Process):
        async def submit(self, signed: SignedCall) -> None:
            self.world.faults = {self.world.steps: fault}
            await super().submit(signed)

    submissions = Submissions(Faulty(World()))
    job = await submissions.jobs.accept()
    await submissions.submit(job)
    states = [change.state for change in submissions.jobs.changes]
    assert (JobState.UNKNOWN in states) is (fault is Fault.LOST_REPLY)
    assert (await submissions.stored(job)).state is state
    assert len(submissions.world.sent) == sent
