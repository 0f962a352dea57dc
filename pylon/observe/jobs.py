"""The jobs as Prometheus sees them: what changes, what there is, and how much time is left."""

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from pylon.observe.metrics import WorkerMetrics
from pylon_client.contract.jobs import IN_FLIGHT, Job, JobState
from pylon_client.contract.types import BlockNumber, Hotkey, IdentityName, JobId, JobKind

logger = logging.getLogger(__name__)

OPERATION: Final = "apply_weights"
FOLLOWED_MAX: Final = 10_000
"""So many jobs' states are remembered; one that is forgotten counts as new."""
CENSUS_EVERY_S: Final = 15.0


class Counted(Protocol):
    """A job as it was read from the ledger."""

    @property
    def job(self) -> Job:
        """The job itself."""
        ...


class JobsPort(Protocol):
    """The ledger, as far as it is counted."""

    async def open_jobs(self, identity: IdentityName) -> Sequence[Counted]:
        """Return the jobs of an identity that have not ended."""
        ...


class JobMetrics:
    """Counts and times the changes of jobs that this worker makes.

    Args:
        metrics: where they go.
        hotkeys: the address of each identity's hotkey, as far as it is known.
    """

    def __init__(self, metrics: WorkerMetrics, hotkeys: Mapping[IdentityName, Hotkey]) -> None:
        self._metrics = metrics
        self._hotkeys = hotkeys
        self._followed: OrderedDict[JobId, tuple[JobState, float]] = OrderedDict()

    def saw(self, job: Job) -> None:
        """Take note of a job that was just written to the ledger."""
        before, begun_s = self._followed.pop(job.job_id, (None, 0.0))
        now_s = time.monotonic()
        if job.state is not before:
            self._metrics.job_transitions.labels(job.kind, job.state).inc()
            if job.kind is JobKind.WEIGHTS:
                self._time(job, before, now_s - begun_s)
        if job.has_ended:
            return
        is_same_attempt = before in IN_FLIGHT and job.state in IN_FLIGHT
        self._followed[job.job_id] = (job.state, begun_s if is_same_attempt else now_s)
        while len(self._followed) > FOLLOWED_MAX:
            self._followed.popitem(last=False)

    def _time(self, job: Job, before: JobState | None, attempt_s: float) -> None:
        hotkey = self._hotkeys.get(job.identity, "")
        labels = (OPERATION, job.state.lower(), str(job.netuid), hotkey)
        if before in IN_FLIGHT and job.state not in IN_FLIGHT:
            self._metrics.weights_attempt_s.labels(*labels).observe(attempt_s)
        if job.has_ended:
            took_s = (job.updated_at_ms - job.created_at_ms) / 1000
            self._metrics.weights_job_s.labels(*labels).observe(took_s)


class JobCensus:
    """Counts, now and then, the jobs that have not ended by their states.

    Args:
        metrics: where the counts go.
        identities: whose jobs.
        ledger: where they are.
        head: the chain's newest block, where it is known.
    """

    def __init__(
        self,
        metrics: WorkerMetrics,
        identities: Iterable[IdentityName],
        ledger: JobsPort,
        *,
        head: Callable[[], BlockNumber | None],
    ) -> None:
        self._identities = tuple(identities)
        self._ledger = ledger
        self._head = head
        self._counts: dict[tuple[str, str, str], int] = {}
        self._deadlines: dict[tuple[str, str], BlockNumber] = {}
        metrics.jobs.read = lambda: self._counts
        metrics.window_blocks_left.read = self._blocks_left

    async def run(self) -> None:
        """Count again and again, until cancelled; what cannot be counted stays as it was."""
        while True:
            try:
                await self.count()
            except Exception as error:  # noqa: BLE001 -- the next lines say why
                # Numbers for a dashboard: whatever is wrong, the jobs themselves go on.
                logger.warning("The jobs could not be counted: %s", type(error).__name__)
            await asyncio.sleep(CENSUS_EVERY_S)

    async def count(self) -> None:
        """Count once."""
        counts = Counter[tuple[str, str, str]]()
        deadlines: dict[tuple[str, str], BlockNumber] = {}
        for identity in self._identities:
            for held in await self._ledger.open_jobs(identity):
                job = held.job
                counts[identity, str(job.kind), str(job.state)] += 1
                if job.kind is not JobKind.WEIGHTS or job.deadline_block is None:
                    continue
                place = (str(job.netuid), str(identity))
                deadlines[place] = min(deadlines.get(place, job.deadline_block), job.deadline_block)
        self._counts = dict(counts)
        self._deadlines = deadlines

    def _blocks_left(self) -> dict[tuple[str, ...], float]:
        head = self._head()
        if head is None:
            return {}
        return {place: max(block - head, 0) for place, block in self._deadlines.items()}
