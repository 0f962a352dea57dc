"""The job store: the state of every job in a bucket, changed only by compare-and-set.

Entries:

- `job.<identity>.<id>`: a job.
- `lane.…`: the latest job of each job queue; see `pylon.jobs.latest_jobs`.
- `sent.…`: the extrinsic that was submitted last with each hotkey; see
  `pylon.jobs.in_flight_markers`.
- `open.…`: markers of jobs that have not ended; see `pylon.jobs.open_jobs`.
"""

import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final

from pylon.jetstream.bucket import ABSENT
from pylon.jobs.bucket_port import BucketPort
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.in_flight_markers import InFlightMarkers
from pylon.jobs.job_pages import JobPage, JobPages
from pylon.jobs.job_reads import newest_jobs, read_job
from pylon.jobs.latest_jobs import LatestJobs
from pylon.jobs.open_jobs import OpenJobs
from pylon.jobs.stored_job import JobRecord, StoredJob, job_key
from pylon_client.contract.failures import FailureError
from pylon_client.contract.jobs import TRANSITIONS, Job, JobState
from pylon_client.contract.types import IdentityName, JobId, JobKind, Revision
from pylon_client.contract.writes import ListJobs

logger = logging.getLogger(__name__)

DAY_S: Final = 86_400
MARKER_RENEW_AFTER_S: Final = 60.0
"""Seconds between a marker and its job after which the marker is written again."""

OnJobChange = Callable[[Job], Awaitable[None]]
"""Reports a changed job; the report may be lost."""


class IllegalTransitionError(Exception):
    """A change of state that `TRANSITIONS` does not allow; always a bug."""


class JobStore:
    """Stores jobs in a bucket.

    Args:
        store: the bucket.
        on_change: called after every change of a job.
        ended_retention_days: days after which an ended job is removed.

    Attributes:
        latest: the latest job of each queue.
        in_flight: the marker of the extrinsic that was submitted last with each hotkey.
    """

    def __init__(
        self, store: BucketPort, on_change: OnJobChange, *, ended_retention_days: int
    ) -> None:
        self.latest: Final = LatestJobs(store)
        self.in_flight: Final = InFlightMarkers(store)
        self._store = store
        self._on_change = on_change
        self._open_jobs = OpenJobs(store)
        self._chain = ChainRecord(store)
        self._pages = JobPages(store, self._open_jobs)
        self._ended_ttl_s = ended_retention_days * DAY_S

    async def get(self, identity: IdentityName, job_id: JobId) -> StoredJob | None:
        """Return a job of an identity, or None.

        Raises:
            UnreadableEntryError: the entry exists, but cannot be read.
        """
        return await read_job(self._store, identity, job_id)

    async def page(self, identity: IdentityName, query: ListJobs) -> JobPage:
        """Return a page of the stored jobs of an identity; see `JobPages.page`."""
        return await self._pages.page(identity, query)

    async def open_jobs(
        self, identity: IdentityName, kind: JobKind | None = None
    ) -> list[StoredJob]:
        """Return the jobs of an identity that have not ended, newest first.

        Args:
            identity: the identity.
            kind: kind of the jobs; None for all kinds.
        """
        return await self._open_jobs.list_jobs(identity, kind)

    def history(self, identity: IdentityName) -> AsyncGenerator[StoredJob]:
        """Yield every stored job of an identity, the last changed first; see `newest_jobs`."""
        return newest_jobs(self._store, identity)

    async def create(self, record: JobRecord) -> StoredJob:
        """Store a new job.

        Raises:
            ConflictError: a job with this id exists.
        """
        began_s = time.monotonic()
        await self._open_jobs.mark(record.job)
        written = await self._write(record, ABSENT)
        if time.monotonic() - began_s > MARKER_RENEW_AFTER_S:
            # A reader may have removed the marker as an orphan.
            await self._open_jobs.mark(record.job)
        return written

    async def renumber(self, stored: StoredJob, number: int) -> StoredJob:
        """Change the number of a job in its queue.

        Raises:
            ConflictError: the job was changed since it was read.
        """
        record = stored.record.model_copy(update={"number": number})
        return await self._write(record, stored.revision)

    async def release(self, stored: StoredJob) -> StoredJob:
        """Allow the submission of a job whose caller receives its response now.

        Raises:
            ConflictError: the job was changed since it was read.
        """
        record = stored.record.model_copy(update={"unanswered": False})
        return await self._write(record, stored.revision)

    async def change(
        self, stored: StoredJob, state: JobState | None = None, **updates: Any
    ) -> StoredJob:
        """Change the state or fields of a job, and report the change.

        Args:
            stored: the job as it was read.
            state: the new state; None keeps the state.
            updates: new values of the job's fields.

        Raises:
            ConflictError: the job was changed since it was read.
            IllegalTransitionError: `TRANSITIONS` does not allow the change.
        """
        changed = await self._change(stored, state, updates)
        if changed.job.has_ended:
            await self.remove_marker(changed.job)
        return changed

    async def supersede(self, stored: StoredJob, newer: JobId) -> StoredJob:
        """End a job as superseded, and report the change.

        Its marker remains, so that this is one request: the executor removes it when it receives
        the job's message.

        Raises:
            ConflictError: the job was changed since it was read.
        """
        return await self._change(stored, JobState.SUPERSEDED, {"superseded_by": newer})

    async def remove_marker(self, job: Job) -> None:
        """Remove the marker of an ended job; if that fails, the next reader of the markers does."""
        with contextlib.suppress(FailureError):
            await self._open_jobs.unmark(job)

    async def genesis(self) -> str | None:
        """Return the genesis of the chain that the jobs are for; None if it is unknown."""
        return await self._chain.genesis()

    async def _change(
        self, stored: StoredJob, state: JobState | None, updates: Mapping[str, Any]
    ) -> StoredJob:
        job = stored.job
        target = job.state if state is None else state
        legal = state is None or state in TRANSITIONS[job.state]
        if job.has_ended or not legal:
            raise IllegalTransitionError(f"{job.job_id}: {job.state} to {target}")
        changed = Job.model_validate(
            {**dict(job), **updates, "state": target, "updated_at_ms": _now_ms()}
        )
        record = stored.record.model_copy(
            update={"job": changed} | ({"request": {}} if _needs_no_submission(changed) else {})
        )
        written = await self._write(record, stored.revision)
        if state is not None:
            logger.info("Job %s of %s: %s to %s", job.job_id, job.identity, job.state, target)
        return written

    async def _write(self, record: JobRecord, revision: Revision) -> StoredJob:
        written = await self._store.put(
            job_key(record.job.identity, record.job.job_id),
            record.model_dump_json().encode(),
            revision=revision,
            ttl_s=self._ended_ttl_s if record.job.has_ended else None,
        )
        await self._on_change(record.job)
        return StoredJob(record, written)


BACKUP_PREFIXES: Final = ("lane", "sent", "job")
"""Key prefixes of the entries that a backup contains; all other entries are an index of these."""


def _needs_no_submission(job: Job) -> bool:
    """Return whether nothing remains to be submitted for a job."""
    return job.has_ended or job.has_succeeded


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
