"""The job store: the state of every job in a bucket, changed only by compare-and-set.

Entries:

- `job.<identity>.<id>`: a job.
- `lane.<identity>.<kind>[.<mechanism>]`: the latest job of a job queue. The prefix stays `lane.`
  because stored data uses it.
- `sent.<hotkey>`: the extrinsic that was submitted last with a hotkey.
- `open.…`: markers of jobs that have not ended; see `pylon.jobs.open_jobs`.
"""

import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from pylon.common.unreadable_records import UNREADABLE
from pylon.jetstream.bucket import ABSENT, Entry
from pylon.jobs.bucket_port import BucketPort
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.job_pages import JobPage, JobPages
from pylon.jobs.open_jobs import OpenJobs
from pylon.jobs.stored_job import (
    JobRecord,
    StoredJob,
    UnreadableEntryError,
    decode_job,
    job_key,
    try_decode_job,
)
from pylon_client.contract.failures import FailureError
from pylon_client.contract.jobs import IN_FLIGHT, TRANSITIONS, ExtrinsicRecord, Job, JobState
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.types import Hotkey, IdentityName, JobId, JobKind, Revision
from pylon_client.contract.writes import ListJobs

logger = logging.getLogger(__name__)

DAY_S: Final = 86_400
MARKER_RENEW_AFTER_S: Final = 60.0
"""Seconds between a marker and its job after which the marker is written again."""
HISTORY_PAGE_SIZE: Final = 200
"""Entries per page while all jobs of an identity are read."""

OnJobChange = Callable[[Job], Awaitable[None]]
"""Reports a changed job; the report may be lost."""


class IllegalTransitionError(Exception):
    """A change of state that `TRANSITIONS` does not allow; always a bug."""


class LatestJob(BaseModel):
    """The latest job of a queue.

    Attributes:
        number: number of the job in its queue; 0 before the first one.
        job_id: id of the job; None before the first one.
    """

    model_config = ConfigDict(frozen=True)

    number: int = 0
    job_id: JobId | None = None


@dataclass(frozen=True, slots=True)
class LatestJobEntry:
    """The entry of the latest job of a queue, with its revision."""

    latest: LatestJob
    revision: Revision

    def has_newer_than(self, record: JobRecord) -> bool:
        """Return whether a newer job supersedes a record.

        Two concurrent jobs may have the same number; then the entry decides.
        """
        if record.number == self.latest.number:
            return record.job.job_id != self.latest.job_id
        return record.number < self.latest.number


class Submission(BaseModel):
    """The extrinsic that was submitted last with a hotkey, and its job."""

    model_config = ConfigDict(frozen=True)

    identity: IdentityName
    job_id: JobId
    extrinsic: ExtrinsicRecord
    genesis: str | None = None


@dataclass(frozen=True, slots=True)
class InFlightMarker:
    """The entry of a hotkey, with its revision; `submission` is None before the first one."""

    submission: Submission | None
    revision: Revision


class JobStore:
    """Stores jobs in a bucket.

    Args:
        store: the bucket.
        on_change: called after every change of a job.
        ended_retention_days: days after which an ended job is removed.
    """

    def __init__(
        self, store: BucketPort, on_change: OnJobChange, *, ended_retention_days: int
    ) -> None:
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
        entry = await self._store.get(job_key(identity, job_id))
        return None if entry is None else decode_job(entry)

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

    async def history(self, identity: IdentityName) -> AsyncGenerator[StoredJob]:
        """Yield every stored job of an identity, the last changed first.

        A job that changes meanwhile may be skipped.
        """
        before: Revision | None = None
        while True:
            page = await self._store.newest_first(
                f"job.{identity}", before=before, count=HISTORY_PAGE_SIZE
            )
            for entry in page.entries:
                if (stored := try_decode_job(entry)) is not None:
                    yield stored
            if page.is_last:
                return
            before = page.entries[-1].revision

    async def latest_jobs(self, identity: IdentityName) -> list[StoredJob]:
        """Return the latest job of each queue of an identity; skip unreadable ones."""
        found: list[StoredJob] = []
        for entry in await self._store.entries(f"lane.{identity}"):
            try:
                latest = LatestJob.model_validate_json(entry.value)
                stored = None if latest.job_id is None else await self.get(identity, latest.job_id)
            except (ValidationError, UnreadableEntryError):
                continue  # the acceptor or the executor of the next job repairs or skips it
            if stored is not None:
                found.append(stored)
        return found

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

    async def genesis(self) -> str | None:
        """Return the genesis of the chain that the jobs are for; None if it is unknown."""
        return await self._chain.genesis()

    async def latest_entry(self, subject: JobSubject) -> LatestJobEntry:
        """Return the latest job of a queue."""
        entry = await self._store.get(_latest_key(subject))
        if entry is None:
            return LatestJobEntry(LatestJob(), ABSENT)
        try:
            latest = LatestJob.model_validate_json(entry.value)
        except ValidationError:
            _log_unreadable(entry)
            latest = await self._find_latest(subject)
        return LatestJobEntry(latest, entry.revision)

    async def _find_latest(self, subject: JobSubject) -> LatestJob:
        """Return the latest job of a queue, by searching its jobs."""
        latest = LatestJob()
        async for stored in self._all_jobs(f"job.{subject.identity}"):
            if stored.record.subject == subject and stored.record.number > latest.number:
                latest = LatestJob(number=stored.record.number, job_id=stored.job.job_id)
        return latest

    async def _all_jobs(self, prefix: str) -> AsyncGenerator[StoredJob]:
        """Yield every job under a prefix, the last changed last; skip no job that changes."""
        after = ABSENT
        while True:
            page = await self._store.oldest_first(prefix, after=after, count=HISTORY_PAGE_SIZE)
            for entry in page.entries:
                if (stored := try_decode_job(entry)) is not None:
                    yield stored
            if page.is_last:
                return
            after = page.entries[-1].revision

    async def set_latest(self, entry: LatestJobEntry, record: JobRecord) -> LatestJobEntry:
        """Make a job the latest of its queue.

        Raises:
            ConflictError: the entry was changed since it was read.
        """
        latest = LatestJob(number=record.number, job_id=record.job.job_id)
        value = latest.model_dump_json().encode()
        revision = await self._store.put(
            _latest_key(record.subject), value, revision=entry.revision
        )
        return LatestJobEntry(latest, revision)

    async def in_flight_marker(self, hotkey: Hotkey) -> InFlightMarker:
        """Return the marker of the extrinsic that was submitted last with a hotkey."""
        entry = await self._store.get(_in_flight_key(hotkey))
        if entry is None:
            return InFlightMarker(None, ABSENT)
        try:
            submission = Submission.model_validate_json(entry.value)
        except ValidationError:
            _log_unreadable(entry)
            submission = await self._find_submission()
        return InFlightMarker(submission, entry.revision)

    async def _find_submission(self) -> Submission | None:
        """Return the in-flight submission with the latest end of its era, of any hotkey."""
        in_flight = [
            Submission(
                identity=one.job.identity,
                job_id=one.job.job_id,
                extrinsic=one.job.extrinsic,
                genesis=one.job.genesis,
            )
            async for one in self._all_jobs("job")
            if one.job.state in IN_FLIGHT and one.job.extrinsic is not None
        ]
        return max(
            in_flight, key=lambda submission: submission.extrinsic.last_valid_block, default=None
        )

    async def mark_in_flight(
        self, marker: InFlightMarker, hotkey: Hotkey, submission: Submission
    ) -> InFlightMarker:
        """Store the extrinsic that is about to be submitted with a hotkey.

        This fences off an expired holder of the hotkey's lease.

        Raises:
            ConflictError: another extrinsic was submitted since the marker was read.
        """
        value = submission.model_dump_json().encode()
        revision = await self._store.put(_in_flight_key(hotkey), value, revision=marker.revision)
        return replace(marker, submission=submission, revision=revision)

    async def is_in_flight(self, submission: Submission) -> bool:
        """Return whether the outcome of a submission is not known yet."""
        try:
            stored = await self.get(submission.identity, submission.job_id)
        except UnreadableEntryError:
            return True  # the outcome cannot be determined
        return (
            stored is not None
            and stored.job.state in IN_FLIGHT
            and stored.job.extrinsic == submission.extrinsic
        )

    async def _write(self, record: JobRecord, revision: Revision) -> StoredJob:
        written = await self._store.put(
            job_key(record.job.identity, record.job.job_id),
            record.model_dump_json().encode(),
            revision=revision,
            ttl_s=self._ended_ttl_s if record.job.has_ended else None,
        )
        await self._on_change(record.job)
        if record.job.has_ended:
            with contextlib.suppress(FailureError):  # the next reader of the markers removes it
                await self._open_jobs.unmark(record.job)
        return StoredJob(record, written)


BACKUP_PREFIXES: Final = ("lane", "sent", "job")
"""Key prefixes of the entries that a backup contains; all other entries are an index of these."""


def _latest_key(subject: JobSubject) -> str:
    mechanism = "" if subject.mechanism is None else f".{subject.mechanism}"
    return f"lane.{subject.identity}.{subject.kind}{mechanism}"


def _in_flight_key(hotkey: Hotkey) -> str:
    return f"sent.{hotkey}"


def _log_unreadable(entry: Entry) -> None:
    text = "Replacing the unreadable job store entry %s"
    UNREADABLE.report(logger, "job", (entry.key, entry.revision), text, entry.key)


def _needs_no_submission(job: Job) -> bool:
    """Return whether nothing remains to be submitted for a job."""
    return job.has_ended or job.has_succeeded


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
