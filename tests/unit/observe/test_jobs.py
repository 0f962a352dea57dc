from dataclasses import dataclass
from typing import Any

import pytest

from pylon.observe.jobs import JobCensus, JobMetrics
from pylon.observe.metrics import WorkerMetrics
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import BlockNumber, Hotkey, IdentityName, JobId, JobKind, NetUid

ALICE = IdentityName("alice")
HOTKEYS = {ALICE: Hotkey("5Alice")}
LABELS = {"operation": "apply_weights", "netuid": "7", "hotkey": "5Alice"}


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


class _Ledger:
    def __init__(self, jobs: list[Job]) -> None:
        self._held = [_Held(job) for job in jobs]

    async def open_jobs(self, identity: IdentityName) -> list[_Held]:
        return self._held if identity == ALICE else []


def value(metrics: WorkerMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def metrics() -> WorkerMetrics:
    return WorkerMetrics()


def test_each_change_of_state_counts_once(metrics: WorkerMetrics) -> None:
    seen = JobMetrics(metrics, HOTKEYS)
    for state in (JobState.ACCEPTED, JobState.ACCEPTED, JobState.SUBMITTING, JobState.CONFIRMED):
        seen.saw(job(state))
    for state in ("ACCEPTED", "SUBMITTING", "CONFIRMED"):
        assert value(metrics, "pylon_job_transitions_total", kind="weights", state=state) == 1


def test_a_job_is_timed_from_its_acceptance_to_its_end(metrics: WorkerMetrics) -> None:
    JobMetrics(metrics, HOTKEYS).saw(job(JobState.EXPIRED))
    name = "pylon_apply_weights_job_duration_seconds"
    assert value(metrics, f"{name}_sum", status="expired", **LABELS) == 30
    assert value(metrics, f"{name}_count", status="expired", **LABELS) == 1
    attempts = "pylon_apply_weights_attempt_duration_seconds_count"
    assert value(metrics, attempts, status="expired", **LABELS) is None


def test_each_attempt_is_timed_until_its_outcome_is_known(metrics: WorkerMetrics) -> None:
    seen = JobMetrics(metrics, HOTKEYS)
    for state in (
        *(JobState.SUBMITTING, JobState.UNKNOWN, JobState.WAITING),
        *(JobState.SUBMITTING, JobState.COMMITTED),
    ):
        seen.saw(job(state))
    name = "pylon_apply_weights_attempt_duration_seconds_count"
    assert value(metrics, name, status="waiting", **LABELS) == 1
    assert value(metrics, name, status="committed", **LABELS) == 1
    assert value(metrics, name, status="unknown", **LABELS) is None


def test_other_kinds_are_counted_and_not_timed(metrics: WorkerMetrics) -> None:
    JobMetrics(metrics, HOTKEYS).saw(job(JobState.FAILED, JobKind.COMMITMENT))
    assert value(metrics, "pylon_job_transitions_total", kind="commitment", state="FAILED") == 1
    name = "pylon_apply_weights_job_duration_seconds_count"
    assert value(metrics, name, status="failed", **LABELS) is None


async def test_the_census_counts_by_state_and_tells_what_time_is_left(
    metrics: WorkerMetrics,
) -> None:
    ledger = _Ledger(
        [
            job(JobState.WAITING, deadline_block=BlockNumber(120)),
            job(JobState.ACCEPTED, deadline_block=BlockNumber(130)),
            job(JobState.ACCEPTED, deadline_block=BlockNumber(140)),
        ]
    )

    heads = [None, BlockNumber(100), BlockNumber(150)]
    head: list[BlockNumber | None] = [None]
    census = JobCensus(metrics, [ALICE], ledger, head=lambda: head[0])
    await census.count()
    counted = {"identity": "alice", "kind": "weights"}
    assert value(metrics, "pylon_jobs", state="ACCEPTED", **counted) == 2
    assert value(metrics, "pylon_jobs", state="WAITING", **counted) == 1
    left: list[float | None] = []
    for head[0] in heads:
        left.append(value(metrics, "pylon_window_blocks_left", netuid="7", identity="alice"))
    assert left == [None, 20, 0]
