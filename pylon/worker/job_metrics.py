"""Metrics of jobs: state changes, durations, counts by state, blocks until deadlines."""

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from pylon.jobs.retry_policy import RATE_LIMIT_RETRY_BLOCKS
from pylon.worker.metrics import WorkerMetrics
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.jobs import IN_FLIGHT, Job, JobState
from pylon_client.contract.types import BlockNumber, Hotkey, IdentityName, JobId, JobKind
from pylon_client.log_limit import LogLimit

if TYPE_CHECKING:
    from prometheus_client import Histogram

logger = logging.getLogger(__name__)

JOB_OPERATION: Final = "run_job"
"""Label `operation` of a whole job; equal to that of the published service."""
ATTEMPT_OPERATION: Final = "_apply_weights"
"""Label `operation` of one attempt; equal to that of the published service."""
SUCCESS: Final = "success"
ERROR: Final = "error"
CANCELLED: Final = "cancelled"
FAILED_STATES: Final = (JobState.EXPIRED, JobState.REJECTED, JobState.FAILED)
MAX_TRACKED_JOBS: Final = 10_000
"""Maximum number of jobs with a remembered state; a forgotten job counts as new."""
COLLECT_INTERVAL_S: Final = 15.0


class HasJob(Protocol):
    """An entry of the job store."""

    @property
    def job(self) -> Job:
        """Return the job."""
        ...


class JobsPort(Protocol):
    """The part of the job store that the collector reads."""

    async def open_jobs(self, identity: IdentityName) -> Sequence[HasJob]:
        """Return the jobs of an identity that have not ended."""
        ...


class JobMetrics:
    """Counts state changes of jobs by this worker, and observes their durations.

    Args:
        metrics: metrics to update.
        hotkeys: the address of each identity's hotkey, as far as it is known.
    """

    def __init__(self, metrics: WorkerMetrics, hotkeys: Mapping[IdentityName, Hotkey]) -> None:
        self._metrics = metrics
        self._hotkeys = hotkeys
        self._tracked: OrderedDict[JobId, tuple[JobState, float]] = OrderedDict()
        self._job_s: Mapping[JobKind, Histogram] = {
            JobKind.WEIGHTS: metrics.weights_job_s,
            JobKind.COMMITMENT: metrics.commitment_job_s,
            JobKind.REVEALED_COMMITMENT: metrics.revealed_commitment_job_s,
        }
        for identity in hotkeys:
            for kind in JobKind:
                for state in FAILED_STATES:  # exposed as 0, so that the first increase is visible
                    metrics.job_failures.labels(identity, kind, state)

    def observe(self, job: Job) -> None:
        """Observe a job that this worker has written to the job store."""
        before, started_at_s = self._tracked.pop(job.job_id, (None, 0.0))
        now_s = time.monotonic()
        if job.state is not before:
            self._metrics.job_transitions.labels(job.kind, job.state).inc()
            if job.state in FAILED_STATES and not _was_only_rate_limited(job):
                self._metrics.job_failures.labels(job.identity, job.kind, job.state).inc()
            self._observe_durations(job, before, now_s - started_at_s)
        if job.has_ended:
            return
        is_same_attempt = before in IN_FLIGHT and job.state in IN_FLIGHT
        self._tracked[job.job_id] = (job.state, started_at_s if is_same_attempt else now_s)
        while len(self._tracked) > MAX_TRACKED_JOBS:
            self._tracked.popitem(last=False)

    def _observe_durations(self, job: Job, before: JobState | None, attempt_s: float) -> None:
        labels = (_status_of(job), str(job.netuid), self._hotkeys.get(job.identity, ""))
        is_over = before in IN_FLIGHT and job.state not in IN_FLIGHT
        if is_over and job.kind is JobKind.WEIGHTS:
            self._metrics.weights_attempt_s.labels(ATTEMPT_OPERATION, *labels).observe(attempt_s)
        # The duration is observed at COMMITTED; the following states depend on the chain only.
        is_timed = job.has_ended or job.state is JobState.COMMITTED
        was_timed = before is JobState.COMMITTED or job.state is JobState.REVEALED
        duration = self._job_s.get(job.kind)
        if duration is not None and is_timed and not was_timed:
            duration_s = (job.updated_at_ms - job.created_at_ms) / 1000
            duration.labels(JOB_OPERATION, *labels).observe(duration_s)


class JobCollector:
    """Counts the jobs that have not ended by state, every `COLLECT_INTERVAL_S` seconds.

    Args:
        metrics: metrics to update.
        identities: identities to count.
        store: the job store.
        head: returns the head, or None.
    """

    def __init__(
        self,
        metrics: WorkerMetrics,
        identities: Iterable[IdentityName],
        store: JobsPort,
        *,
        head: Callable[[], BlockNumber | None],
    ) -> None:
        self._identities = tuple(identities)
        self._store = store
        self._head = head
        self._counts: dict[tuple[str, str, str], int] = {}
        self._deadline_blocks: dict[tuple[str, str], BlockNumber] = {}
        self._due_blocks: dict[JobId, BlockNumber] = {}
        self._log_limit = LogLimit()
        self._earliest_due_blocks: dict[tuple[str, str], BlockNumber] = {}
        metrics.jobs.read = lambda: self._counts
        metrics.weights_deadline_blocks.read = self._blocks_until_deadline
        metrics.weights_overdue_blocks.read = self._blocks_overdue

    async def run(self) -> None:
        """Collect the metrics periodically until cancelled; an error keeps the last values."""
        while True:
            try:
                await self.collect()
            except Exception as error:  # noqa: BLE001 -- metrics must not stop jobs
                if self._log_limit.is_due(type(error)):
                    logger.warning("Could not collect job metrics: %s", type(error).__name__)
            await asyncio.sleep(COLLECT_INTERVAL_S)

    async def collect(self) -> None:
        """Collect the metrics once."""
        counts = Counter[tuple[str, str, str]]()
        deadlines: dict[tuple[str, str], BlockNumber] = {}
        due_blocks: dict[JobId, BlockNumber] = {}
        earliest_due_blocks: dict[tuple[str, str], BlockNumber] = {}
        for identity in self._identities:
            for entry in await self._store.open_jobs(identity):
                job = entry.job
                counts[identity, str(job.kind), str(job.state)] += 1
                if job.kind is not JobKind.WEIGHTS or job.deadline_block is None:
                    continue
                labels = (str(job.netuid), str(identity))
                deadlines[labels] = min(
                    deadlines.get(labels, job.deadline_block), job.deadline_block
                )
                if (block := self._due_block(job)) is not None:
                    due_blocks[job.job_id] = block
                    earliest_due_blocks[labels] = min(earliest_due_blocks.get(labels, block), block)
        self._counts = dict(counts)
        self._deadline_blocks = deadlines
        self._due_blocks = due_blocks
        self._earliest_due_blocks = earliest_due_blocks

    def _due_block(self, job: Job) -> BlockNumber | None:
        """Return the first block in which the job could have been included, if it is known.

        A rate limit that the chain's state shows moves it. A refusal, which defers the job by
        `RATE_LIMIT_RETRY_BLOCKS`, does not.
        """
        head = self._head()
        block = self._due_blocks.get(job.job_id, job.submitted_block or job.accepted_block or head)
        until = _rate_limited_until(job)
        if block is None or until is None or head is None:
            return block
        is_known_limit = job.attempts == 0 or until > head + RATE_LIMIT_RETRY_BLOCKS
        return max(block, until) if is_known_limit else block

    def _blocks_until_deadline(self) -> dict[tuple[str, ...], float]:
        return self._distances_from_head(
            self._deadline_blocks, lambda deadline, head: deadline - head
        )

    def _blocks_overdue(self) -> dict[tuple[str, ...], float]:
        return self._distances_from_head(self._earliest_due_blocks, lambda due, head: head - due)

    def _distances_from_head(
        self,
        blocks: Mapping[tuple[str, str], BlockNumber],
        distance: Callable[[BlockNumber, BlockNumber], int],
    ) -> dict[tuple[str, ...], float]:
        head = self._head()
        if head is None:
            return {}
        return {place: max(distance(block, head), 0) for place, block in blocks.items()}


def _status_of(job: Job) -> str:
    """Return the label `status` of a job; equal to that of the published service."""
    if job.has_succeeded:
        return SUCCESS
    is_cancelled = job.state in {JobState.CANCELLED, JobState.SUPERSEDED}
    return CANCELLED if is_cancelled else ERROR


def _rate_limited_until(job: Job) -> BlockNumber | None:
    """Return the block until which a rate limit of the chain delays a job, or None."""
    if job.last_error is None or job.last_error.code is not ErrorCode.RATE_LIMITED:
        return None
    return job.retry_at_block


def _was_only_rate_limited(job: Job) -> bool:
    """Return whether a rate limit delayed a job from its acceptance to its end.

    Weights of an earlier job are then on the chain: the client puts them more often than the
    subnet takes them.
    """
    is_limited = _rate_limited_until(job) is not None
    return job.state is JobState.EXPIRED and is_limited and job.attempts == 0
