"""With any fault at any step, no accepted job is lost and none is applied twice."""

import asyncio
from collections import Counter, deque
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, NoReturn

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from pylon.jetstream.consumer import Ack, Nak
from pylon.jobs import executor
from pylon.jobs.acceptor import JobAcceptor
from pylon.jobs.commitment_planner import CommitmentPlanner
from pylon.jobs.deadline_enforcer import DeadlineEnforcer
from pylon.jobs.executor import JobExecutor
from pylon.jobs.job_store import JobStore
from pylon.jobs.retry_policy import RetryPolicy
from pylon.jobs.signer_directory import SignerDirectory
from pylon.jobs.stored_job import JobRecord
from pylon.jobs.unknown_hotkeys import UnknownHotkeyPolicy
from pylon.jobs.weights_planner import WeightsPlanner
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import TRANSITIONS, Job, JobState
from pylon_client.contract.types import (
    IdentityName,
    JobId,
    JobKind,
    MechanismId,
    NetUid,
)
from tests.support.product.adversary import WAKING, Crash, Fault, Process, World
from tests.support.product.fake_signers import FakeSigner, address, signers_of
from tests.support.product.simulated_jobs import ALICE, SimulatedJobs, advance_to
from tests.support.product.stepped_loop import run_stepped

RETRIES = RetryPolicy(attempts=6, delay_s=1.0)
ROUNDS = 1000
"""Maximum number of rounds; far more than any job needs."""

IDENTITIES = {
    IdentityName("alice"): FakeSigner(1),
    IdentityName("bob"): FakeSigner(2),
    # The same hotkey on another subnet.
    IdentityName("alice2"): FakeSigner(1),
}


async def ignore_change(_job: Job) -> None:
    return


def store_of(process: Process) -> JobStore:
    return JobStore(process, ignore_change, ended_retention_days=7)


def acceptor_of(process: Process) -> JobAcceptor:
    return JobAcceptor(store_of(process), process, process, signers_of(*IDENTITIES))


def enforcer_of(process: Process) -> DeadlineEnforcer:
    """Return the deadline enforcer of a worker that knows no signer."""
    return DeadlineEnforcer(
        store_of(process),
        process,
        executor_of(process, {}),
        SignerDirectory(IDENTITIES, grace_s=0),
        IDENTITIES,
    )


def executor_of(process: Process, signers: Mapping[IdentityName, FakeSigner]) -> JobExecutor:
    publishing = CommitmentPlanner(process, RETRIES)
    return JobExecutor(
        store_of(process),
        process,
        process,
        signers,
        {
            JobKind.WEIGHTS: WeightsPlanner(process, RETRIES, UnknownHotkeyPolicy.DROP),
            JobKind.COMMITMENT: publishing,
            JobKind.REVEALED_COMMITMENT: publishing,
            JobKind.CERTIFICATE: publishing,
        },
        sleep=process.sleep,
    )


def weights(identity: str, number: int, key: str | None = None) -> WriteRequest:
    return WriteRequest(
        identity=IdentityName(identity),
        netuid=NetUid(1),
        kind=JobKind.WEIGHTS,
        mechanism=MechanismId(0),
        params={"weights": {address(7): 1.0, address(8): float(number)}},
        count=2,
        idempotency_key=key,
    )


def commitment(identity: str, number: int, key: str | None = None) -> WriteRequest:
    return WriteRequest(
        identity=IdentityName(identity),
        netuid=NetUid(1),
        kind=JobKind.COMMITMENT,
        params={"commitment": f"0x{number:04x}"},
        idempotency_key=key,
    )


@dataclass
class Drive:
    """Runs a world until nothing more happens.

    Attributes:
        absence: probability that a message is delivered to a worker without hotkeys.
        accepted: the accepted requests, by job id.
    """

    world: World
    absence: float = 0.0
    accepted: dict[JobId, WriteRequest] = field(default_factory=dict[JobId, WriteRequest])
    _behind: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])
    _withheld: dict[JobId, int] = field(default_factory=dict[JobId, int])

    async def ask(self, wanted: WriteRequest) -> None:
        """Send a request until it is answered, as a client with retry_policy does."""
        for _ in range(20):
            process = self.world.process()
            result = await self._run_process(process, acceptor_of(process).accept(wanted))
            if isinstance(result, Job):
                self.accepted[result.job_id] = wanted
                return

    async def run(self) -> None:
        for _ in range(ROUNDS):
            # Deferred messages do not block others, so any message may be next.
            waiting = [(queue, job_id) for queue in self.world.queues.values() for job_id in queue]
            if not waiting and not self._behind and not await self._requeue():
                return
            self.world.random.shuffle(waiting)
            await asyncio.gather(*(self._deliver(*one) for one in waiting))
            if self.world.random.random() < self.absence:
                process = self.world.process()
                await self._run_process(process, enforcer_of(process).check())
            self.world.tick()
            if self._behind and self.world.random.random() < WAKING:
                await self._wake()
        pytest.fail("the jobs did not come to an end")

    async def _deliver(self, queue: deque[JobId], job_id: JobId) -> None:
        if (rounds := self._withheld.get(job_id, 0)) > 0:
            self._withheld[job_id] = rounds - 1
            return
        process = self.world.process()
        acknowledgement = await self._run_process(process, self._work(process, job_id))
        if isinstance(acknowledgement, Ack) and job_id in queue:
            queue.remove(job_id)
        elif not isinstance(acknowledgement, Nak):
            # It is redelivered after the acknowledgement timeout.
            self._withheld[job_id] = self.world.random.randrange(6)

    async def _work(self, process: Process, job_id: JobId) -> Any:
        stored = next(
            JobRecord.model_validate_json(entry.value)
            for key, entry in self.world.store.items()
            if key.startswith("job.") and key.endswith(job_id)
        )
        is_absent = self.world.random.random() < self.absence
        worker = executor_of(process, {} if is_absent else IDENTITIES)
        return await worker.execute(stored.job.identity, job_id)

    async def _run_process(self, process: Process, work: Coroutine[Any, Any, Any]) -> Any:
        """Return the result or error of a process; None while it is suspended."""
        task = asyncio.ensure_future(work)
        while not task.done():
            if process in self.world.asleep:
                self.world.dozing.clear()
                self.world.asleep.discard(process)
                self._behind.add(task)
                return None
            await asyncio.sleep(0)
        return _result(task)

    async def _wake(self) -> None:
        self.world.dozing.set()
        for task in tuple(self._behind):
            await asyncio.wait({task})
            _result(task)
        self._behind.clear()
        self.world.dozing.clear()

    async def _requeue(self) -> bool:
        """Requeue open jobs, as idle workers do; return whether there were any."""
        self.world.queued.clear()  # the duplicate window is over
        requeued = False
        for identity in IDENTITIES:
            for kind in (JobKind.WEIGHTS, JobKind.COMMITMENT):
                process = self.world.process()
                requeue = acceptor_of(process).requeue_open_jobs(identity, kind)
                requeued |= await self._run_process(process, requeue) != 0
        return requeued


def _result(task: "asyncio.Task[Any]") -> Any:
    try:
        return task.result()
    except (FailureError, Crash) as error:
        return error


def check(drive: Drive) -> list[JobRecord]:
    world = drive.world
    assert world.broken == []
    applied = Counter(str(extrinsic.call) for extrinsic in world.applied)
    records = {
        record.job.job_id: record
        for key, entry in world.store.items()
        if key.startswith("job.")
        for record in [JobRecord.model_validate_json(entry.value)]
    }
    assert set(drive.accepted) <= set(records), "an accepted job is missing"
    for job_id, record in records.items():
        assert record.job.has_ended, f"{job_id} is {record.job.state}"
        times = sum(
            1 for extrinsic in world.applied if record.job.extrinsic == extrinsic.signed.record
        )
        assert times == (1 if record.job.has_succeeded else 0), record.job
    assert len(world.applied) == sum(record.job.has_succeeded for record in records.values())
    assert all(times >= 1 for times in applied.values())
    seen: dict[str, Job] = {}
    for key, value in world.writes:
        if key.startswith("job."):
            job = JobRecord.model_validate_json(value).job
            before = seen.get(key)
            if before is not None:
                assert not before.has_ended, f"{key} was changed after it had ended"
                assert job.state in {before.state, *TRANSITIONS[before.state]}
            seen[key] = job
    return list(records.values())


asks = st.lists(
    st.builds(
        lambda make, identity, number, key: make(identity, number, key),
        st.sampled_from([weights, commitment]),
        st.sampled_from(sorted(IDENTITIES)),
        st.integers(1, 3),
        st.none() | st.just("key"),
    ),
    min_size=1,
    max_size=5,
)
strikes = st.dictionaries(st.integers(0, 220), st.sampled_from(Fault), max_size=8)


@pytest.mark.integration  # 150 worlds, each with many jobs
@settings(max_examples=150, print_blob=True)
@given(
    wanted=asks,
    faults=strikes,
    commit_reveal=st.booleans(),
    rate_limit=st.sampled_from([0, 3]),
    random=st.randoms(use_true_random=False),
    includes_after_blocks=st.sampled_from([0, 2, 4]),
    absence=st.sampled_from([0.0, 0.0, 0.4]),
    tempo=st.sampled_from([40, 1000]),
)
def test_no_job_is_lost_and_none_is_applied_twice(
    wanted: list[WriteRequest],
    faults: dict[int, Fault],
    random: Random,
    *,
    commit_reveal: bool,
    rate_limit: int,
    includes_after_blocks: int,
    absence: float,
    tempo: int,
) -> None:
    keyed: dict[tuple[IdentityName, JobKind], WriteRequest] = {}

    async def story() -> None:
        world = World(
            faults=faults,
            random=random,
            commit_reveal=commit_reveal,
            rate_limit_blocks=rate_limit,
            includes_after_blocks=includes_after_blocks,
            tempo=tempo,
        )
        drive = Drive(world, absence)
        asking: list[WriteRequest] = []
        for one in wanted:
            if one.idempotency_key is not None:
                # One key identifies one request.
                one = keyed.setdefault((one.identity, one.kind), one)  # noqa: PLW2901 -- the first
            asking.append(one)
        await asyncio.gather(*map(drive.ask, asking))
        await drive.run()
        event(f"steps: {world.steps // 50 * 50}+")
        for state in {
            JobRecord.model_validate_json(e.value).job.state
            for k, e in world.store.items()
            if k.startswith("job.")
        }:
            event(f"ended: {state}")
        check(drive)

    run_stepped(story())


@pytest.mark.integration  # a world for each of about a hundred steps
@pytest.mark.parametrize("includes_after_blocks", [0, 4])
@pytest.mark.parametrize("fault", Fault)
def test_two_jobs_of_one_hotkey_survive_every_fault_at_every_step(
    fault: Fault, includes_after_blocks: int
) -> None:
    step = 0
    while True:
        world = World(
            {step: fault},
            tempo=200,
            includes_after_blocks=includes_after_blocks,
            random=Random(step),  # noqa: S311 -- guards nothing
        )

        async def story(world: World = world, step: int = step) -> None:
            drive = Drive(world)
            await drive.ask(weights("alice", 1, "its name"))
            await drive.ask(commitment("alice2", 1, "its name"))
            await drive.run()
            check(drive)
            # Weights whose epoch ends while another extrinsic of their hotkey is in flight expire.
            assert len(world.applied) == 2 or fault is Fault.EPOCH

        run_stepped(story())
        if world.steps <= step:
            return
        step += 1


async def test_a_worker_without_the_hotkey_defers_the_job() -> None:
    world = World()
    system = SimulatedJobs(world)
    job = await system.accept()
    process = world.process()
    stranger = JobExecutor(system.store, process, process, {}, {})
    assert isinstance(await stranger.execute(ALICE, job.job_id), Nak)
    assert (await system.run_until_ended(job)).state is JobState.CONFIRMED


async def test_a_job_of_another_chain_is_not_signed() -> None:
    world = World()
    system = SimulatedJobs(world)
    job = await system.accept()
    world.genesis = "0xb"
    ended = await system.execute_once(job)
    assert (ended.state, world.sent) == (JobState.REJECTED, [])
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.WRONG_CHAIN


async def test_an_extrinsic_of_another_chain_is_not_submitted_again() -> None:
    class Silent(Process):
        async def find_extrinsic(self, *_: Any) -> NoReturn:
            raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "away")

    world = World()
    system = SimulatedJobs(world, process=Silent(world))
    job = await system.execute_once(await system.accept())
    assert job.state is JobState.SUBMITTING
    world.genesis = "0xb"
    advance_to(world, world.best + 100)
    ended = await SimulatedJobs(world).execute_once(job)
    assert (ended.state, len(world.sent)) == (JobState.FAILED, 1)
    again = await SimulatedJobs(world).accept()
    assert again.genesis == "0xb"
    assert (await SimulatedJobs(world).run_until_ended(again)).state is JobState.CONFIRMED


async def test_nothing_is_submitted_if_the_chain_changes_between_plan_and_signature() -> None:
    class Moving(Process):
        async def sign(self, *args: Any) -> Any:
            self.world.genesis = "0xb"
            return await super().sign(*args)

    world = World()
    system = SimulatedJobs(world, process=Moving(world))
    ended = await system.execute_once(await system.accept())
    assert (ended.state, world.sent) == (JobState.REJECTED, [])


async def test_an_unsupported_write_is_rejected_and_names_the_missing_item() -> None:
    class Older(Process):
        async def weights_state(self, *_: Any) -> NoReturn:
            raise FailureError(ErrorCode.RUNTIME_UNSUPPORTED, "No SubtensorModule.Tempo.")

    world = World()
    system = SimulatedJobs(world, process=Older(world))
    ended = await system.execute_once(await system.accept())
    assert ended.state is JobState.REJECTED
    assert ended.last_error is not None
    assert ended.last_error.code is ErrorCode.RUNTIME_UNSUPPORTED
    assert "SubtensorModule.Tempo" in ended.last_error.detail


CERTIFICATE = WriteRequest(
    ALICE,
    NetUid(1),
    JobKind.CERTIFICATE,
    {"algorithm": 1, "public_key": "0x" + "ab" * 32},
    submit_after_response=True,
)


async def test_nothing_is_submitted_before_the_release() -> None:
    world = World()
    system = SimulatedJobs(world)
    job = await system.acceptor.accept(CERTIFICATE)
    for _ in range(5):
        assert isinstance(await system.executor.execute(ALICE, job.job_id), Nak)
        world.tick()
    assert world.sent == []
    await system.acceptor.release(job)
    assert (await system.run_until_ended(job)).state is JobState.CONFIRMED
    assert len(world.sent) == 1


async def test_a_job_that_is_never_released_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    system = SimulatedJobs(world)
    job = await system.acceptor.accept(CERTIFICATE)
    monkeypatch.setattr(executor, "MAX_RESPONSE_PENDING_S", 0.0)
    assert isinstance(await system.executor.execute(ALICE, job.job_id), Ack)
    stored = await system.stored(job)
    assert stored.job.state is JobState.CANCELLED
    assert stored.job.last_error is not None
    assert stored.job.last_error.code is ErrorCode.CANCELLED
    with pytest.raises(FailureError) as late:
        await system.acceptor.release(job)
    assert late.value.code is ErrorCode.CANCELLED
    assert world.sent == []


async def test_other_jobs_need_no_release() -> None:
    world = World()
    system = SimulatedJobs(world)
    job = await system.acceptor.accept(replace(CERTIFICATE, submit_after_response=False))
    assert (await system.run_until_ended(job)).state is JobState.CONFIRMED
