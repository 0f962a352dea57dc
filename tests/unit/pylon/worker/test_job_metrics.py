from dataclasses import dataclass
from typing import Any

import pytest

from pylon.worker.job_metrics import JobCollector, JobMetrics
from pylon.worker.metrics import WorkerMetrics
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import BlockNumber, Hotkey, IdentityName, JobId, JobKind, NetUid

ALICE = IdentityName("alice")
HOTKEYS = {ALICE: Hotkey("5Alice")}
PLACE = {"netuid": "7", "hotkey": "5Alice"}
JOB = {"operation": "run_job", **PLACE}
ATTEMPT = {"operation": "_apply_weights", **PLACE}
RATE_LIMITED = FailureError(ErrorCode.RATE_LIMITED, "Too soon.").failure
REFUSED = FailureError(ErrorCode.CHAIN_REJECTED, "No.").failure


def job(state: JobState, kind: JobKind = JobKind.WEIGHTS, **more: Any) -> Job:
    return Job.model_validate(
        {
            "job_id": JobId("a" * 26),
            "identity": ALICE,
            "netuid": NetUid(7),
            "kind": kind,
            "state": state,
            "created_at_ms": 1_000,
            "updated_at_ms": 31_000,
            **more,
        }
    )


@dataclass(frozen=True)
class _Held:
    job: Job


class _Store:
    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs

    async def open_jobs(self, identity: IdentityName) -> list[_Held]:
        return [_Held(job) for job in self.jobs] if identity == ALICE else []


def value(metrics: WorkerMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def metrics() -> WorkerMetrics:
    return WorkerMetrics()


def test_each_change_of_state_counts_once(metrics: WorkerMetrics) -> None:
    seen = JobMetrics(metrics, HOTKEYS)
    for state in (JobState.ACCEPTED, JobState.ACCEPTED, JobState.SUBMITTING, JobState.CONFIRMED):
        seen.observe(job(state))
    for state in ("ACCEPTED", "SUBMITTING", "CONFIRMED"):
        assert value(metrics, "pylon_job_transitions_total", kind="weights", state=state) == 1


def durations(metrics: WorkerMetrics, kind: str) -> dict[str, float]:
    """How many jobs of a kind were timed, by status; also that they have the right labels."""
    name = f"pylon_{kind}_job_duration_seconds_count"
    statuses = {status: value(metrics, name, status=status, **JOB) for status in STATUSES}
    return {status: count for status, count in statuses.items() if count is not None}


STATUSES = ("success", "error", "cancelled")


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (JobState.CONFIRMED, "success"),
        (JobState.COMMITTED, "success"),
        (JobState.EXPIRED, "error"),
        (JobState.REJECTED, "error"),
        (JobState.FAILED, "error"),
        (JobState.CANCELLED, "cancelled"),
        (JobState.SUPERSEDED, "cancelled"),
    ],
)
def test_a_job_is_timed_from_its_acceptance_to_its_end(
    metrics: WorkerMetrics, state: JobState, status: str
) -> None:
    JobMetrics(metrics, HOTKEYS).observe(job(state))
    name = "pylon_apply_weights_job_duration_seconds_sum"
    assert value(metrics, name, status=status, **JOB) == 30
    assert durations(metrics, "apply_weights") == {status: 1}
    attempts = "pylon_apply_weights_attempt_duration_seconds_count"
    assert value(metrics, attempts, status=status, **ATTEMPT) is None


def test_each_attempt_is_timed_until_its_outcome_is_known(metrics: WorkerMetrics) -> None:
    seen = JobMetrics(metrics, HOTKEYS)
    for state in (
        *(JobState.SUBMITTING, JobState.UNKNOWN, JobState.WAITING),
        *(JobState.SUBMITTING, JobState.COMMITTED),
    ):
        seen.observe(job(state))
    name = "pylon_apply_weights_attempt_duration_seconds_count"
    assert value(metrics, name, status="error", **ATTEMPT) == 1
    assert value(metrics, name, status="success", **ATTEMPT) == 1


def test_commitments_are_timed_under_the_published_names(metrics: WorkerMetrics) -> None:
    seen = JobMetrics(metrics, HOTKEYS)
    seen.observe(job(JobState.FAILED, JobKind.COMMITMENT))
    assert durations(metrics, "set_commitment") == {"error": 1}
    assert durations(metrics, "apply_weights") == {}
    # A timelocked one is timed when it is on the chain, and not again when the chain opens it.
    for state in (JobState.SUBMITTING, JobState.COMMITTED, JobState.REVEALED):
        seen.observe(job(state, JobKind.REVEALED_COMMITMENT))
    seen.observe(job(JobState.REVEALED, JobKind.REVEALED_COMMITMENT, job_id="b" * 26))
    assert durations(metrics, "set_revealed_commitment") == {"success": 1}
    seen.observe(job(JobState.CONFIRMED, JobKind.CERTIFICATE))
    assert value(metrics, "pylon_job_transitions_total", kind="certificate", state="CONFIRMED") == 1


def test_failures_start_at_zero_and_exclude_rate_limited_jobs(
    metrics: WorkerMetrics,
) -> None:
    def failures(**labels: str) -> float | None:
        return value(metrics, "pylon_job_failures_total", identity="alice", **labels)

    seen = JobMetrics(metrics, HOTKEYS)
    expired = {"kind": "weights", "state": "EXPIRED"}
    assert failures(**expired) == failures(kind="commitment", state="REJECTED") == 0
    limited: dict[str, Any] = {"last_error": RATE_LIMITED, "retry_at_block": 200}
    seen.observe(job(JobState.EXPIRED, **limited))
    assert failures(**expired) == 0
    seen.observe(job(JobState.EXPIRED, **limited, attempts=1))  # the chain refused it
    seen.observe(job(JobState.EXPIRED, last_error=REFUSED))
    seen.observe(job(JobState.CONFIRMED))
    assert failures(**expired) == 2


class _Collected:
    """A census over jobs that a test changes, at a head that it moves."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self._metrics = metrics
        self.ledger = _Store([])
        self.head: BlockNumber | None = BlockNumber(100)
        self._census = JobCollector(metrics, [ALICE], self.ledger, head=lambda: self.head)

    async def at(self, head: int | None, *jobs: Job) -> dict[str, float | None]:
        self.ledger.jobs = list(jobs)
        self.head = None if head is None else BlockNumber(head)
        await self._census.collect()
        return {
            name: value(self._metrics, f"pylon_{name}", netuid="7", identity="alice")
            for name in ("weights_deadline_blocks", "weights_overdue_blocks")
        }

    async def overdue(self, head: int, *jobs: Job) -> float | None:
        return (await self.at(head, *jobs))["weights_overdue_blocks"]


async def test_the_collector_counts_by_state_and_shows_the_blocks_until_the_deadline(
    metrics: WorkerMetrics,
) -> None:
    jobs = [
        job(JobState.WAITING, deadline_block=BlockNumber(120)),
        job(JobState.ACCEPTED, deadline_block=BlockNumber(130)),
        job(JobState.ACCEPTED, deadline_block=BlockNumber(140)),
    ]
    census = _Collected(metrics)
    left = [(await census.at(head, *jobs))["weights_deadline_blocks"] for head in (None, 100, 150)]
    assert left == [None, 20, 0]
    counted = {"identity": "alice", "kind": "weights"}
    assert value(metrics, "pylon_jobs", state="ACCEPTED", **counted) == 2
    assert value(metrics, "pylon_jobs", state="WAITING", **counted) == 1


def weights(state: JobState, job_id: str = "a", **more: Any) -> Job:
    return job(state, job_id=JobId(job_id * 26), accepted_block=1000, deadline_block=1360, **more)


async def test_weights_are_overdue_from_when_the_chain_could_have_taken_them(
    metrics: WorkerMetrics,
) -> None:
    census = _Collected(metrics)
    assert await census.overdue(1000) is None
    assert await census.overdue(1000, weights(JobState.ACCEPTED)) == 0
    assert await census.overdue(1004, weights(JobState.SUBMITTING, submitted_block=1001)) == 4
    assert await census.overdue(1005) is None
    # Nothing of what it waits for comes by itself: no limit moves the block.
    waiting = weights(JobState.WAITING, "b", last_error=REFUSED)
    assert await census.overdue(1200, waiting) == 200
    # The oldest of several counts.
    assert await census.overdue(1201, waiting, weights(JobState.ACCEPTED)) == 201


async def test_a_rate_limit_of_the_chain_makes_nothing_overdue(metrics: WorkerMetrics) -> None:
    census = _Collected(metrics)
    limited: dict[str, Any] = {"last_error": RATE_LIMITED, "retry_at_block": 1340}
    for head in (1001, 1200, 1340):
        assert await census.overdue(head, weights(JobState.WAITING, **limited)) == 0
    # Nor does the attempt that follows, whose job no longer names the limit.
    sent = weights(JobState.SUBMITTING, attempts=1, submitted_block=1340)
    assert await census.overdue(1344, sent) == 4
    # A worker that did not see the limit takes the attempt for the begin.
    assert await _Collected(metrics).overdue(1345, sent) == 5


async def test_refusals_that_follow_each_other_are_no_rate_limit(metrics: WorkerMetrics) -> None:
    census = _Collected(metrics)
    for head in range(1000, 1050, 5):
        refused = weights(
            JobState.WAITING, attempts=1, last_error=RATE_LIMITED, retry_at_block=head + 10
        )
        assert await census.overdue(head, refused) == head - 1000
