"""The ledger: what every job is and how far it has come, changed only by compare and set.

It has one entry per job; one per lane, which says what is newest in it; one per hotkey, which says
what was last sent with it; and a marker per job that has not ended (`pylon.jobs.open_jobs`).
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
"""Seconds after its marker within which a job is written; else the marker is written again."""
HISTORY_PAGE_SIZE: Final = 200
"""Entries that are read at once where all jobs of an identity are gone through."""

OnJobChange = Callable[[Job], Awaitable[None]]
"""Tells whoever listens that a job has changed; what it does may be lost."""


class IllegalTransitionError(Exception):
    """A change of state that the table does not have: a bug, never a circumstance."""


class LatestJob(BaseModel):
    """What is newest in a lane."""

    model_config = ConfigDict(frozen=True)

    number: int = 0
    job_id: JobId | None = None


@dataclass(frozen=True, slots=True)
class LatestJobEntry:
    """A lane's entry as it was read."""

    latest: LatestJob
    revision: Revision

    def has_newer_than(self, record: JobRecord) -> bool:
        """Whether a record has been overtaken; of two with one number, the lane has chosen."""
        if record.number == self.latest.number:
            return record.job.job_id != self.latest.job_id
        return record.number < self.latest.number


class Submission(BaseModel):
    """What was last signed with a hotkey, and for which job."""

    model_config = ConfigDict(frozen=True)

    identity: IdentityName
    job_id: JobId
    extrinsic: ExtrinsicRecord
    genesis: str | None = None


@dataclass(frozen=True, slots=True)
class InFlightMarker:
    """A hotkey's entry as it was read; `submission` is None before anything was sent."""

    submission: Submission | None
    revision: Revision


class JobStore:
    """The ledger of jobs over a store.

    Args:
        store: where entries are kept.
        on_change: is told of every job that was changed, after it was.
        ended_retention_days: for how long a job is kept that has ended.
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
        """A job of an identity, or None.

        Raises:
            UnreadableEntryError: there is one, and it cannot be read.
        """
        entry = await self._store.get(job_key(identity, job_id))
        return None if entry is None else decode_job(entry)

    async def page(self, identity: IdentityName, query: ListJobs) -> JobPage:
        """Return some of the jobs of an identity that are still kept; see `JobPages.page`."""
        return await self._pages.page(identity, query)

    async def open_jobs(
        self, identity: IdentityName, kind: JobKind | None = None
    ) -> list[StoredJob]:
        """Return the jobs of an identity that have not ended, the newest first.

        Args:
            identity: whose jobs.
            kind: only jobs of this kind; None for all.
        """
        return await self._open_jobs.list_jobs(identity, kind)

    async def history(self, identity: IdentityName) -> AsyncGenerator[StoredJob]:
        """Give every job of an identity that is still kept, the last changed first.

        One that changes meanwhile may be left out.
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
        """The newest job of each lane of an identity, as far as it can be read."""
        found: list[StoredJob] = []
        for entry in await self._store.entries(f"lane.{identity}"):
            try:
                latest = LatestJob.model_validate_json(entry.value)
                stored = None if latest.job_id is None else await self.get(identity, latest.job_id)
            except (ValidationError, UnreadableEntryError):
                continue  # it is repaired, or passed over, by what accepts or runs the next job
            if stored is not None:
                found.append(stored)
        return found

    async def create(self, record: JobRecord) -> StoredJob:
        """Enter a new job.

        Raises:
            ConflictError: one of that id is there.
        """
        began_s = time.monotonic()
        await self._open_jobs.mark(record.job)
        written = await self._write(record, ABSENT)
        if time.monotonic() - began_s > MARKER_RENEW_AFTER_S:
            await self._open_jobs.mark(
                record.job
            )  # a reader may have taken the marker for an orphan
        return written

    async def renumber(self, stored: StoredJob, number: int) -> StoredJob:
        """Give a job another place in its lane.

        Raises:
            ConflictError: the job was changed since it was read.
        """
        record = stored.record.model_copy(update={"number": number})
        return await self._write(record, stored.revision)

    async def release(self, stored: StoredJob) -> StoredJob:
        """Let a job be sent whose caller is answered now.

        Raises:
            ConflictError: the job was changed since it was read.
        """
        record = stored.record.model_copy(update={"unanswered": False})
        return await self._write(record, stored.revision)

    async def change(
        self, stored: StoredJob, state: JobState | None = None, **updates: Any
    ) -> StoredJob:
        """Move a job to a state, or only amend it, and say so.

        Args:
            stored: the job as it was read.
            state: where to; None leaves it where it is.
            updates: fields of the job.

        Raises:
            ConflictError: the job was changed since it was read.
            IllegalTransitionError: the table has no such change.
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
            update={"job": changed} | ({"request": {}} if _is_done(changed) else {})
        )
        written = await self._write(record, stored.revision)
        if state is not None:
            logger.info("Job %s of %s: %s to %s", job.job_id, job.identity, job.state, target)
        return written

    async def genesis(self) -> str | None:
        """Return the genesis of the chain that jobs are for; None where it was never known."""
        return await self._chain.genesis()

    async def latest_entry(self, subject: JobSubject) -> LatestJobEntry:
        """What is newest in a lane."""
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
        """What is newest in a lane by what its jobs say."""
        latest = LatestJob()
        async for stored in self._all_jobs(f"job.{subject.identity}"):
            if stored.record.subject == subject and stored.record.number > latest.number:
                latest = LatestJob(number=stored.record.number, job_id=stored.job.job_id)
        return latest

    async def _all_jobs(self, prefix: str) -> AsyncGenerator[StoredJob]:
        """Give every job under a prefix, the last changed last, and miss none that changes."""
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
        """Make a record the newest of its lane.

        Raises:
            ConflictError: the lane has moved since it was read.
        """
        latest = LatestJob(number=record.number, job_id=record.job.job_id)
        value = latest.model_dump_json().encode()
        revision = await self._store.put(
            _latest_key(record.subject), value, revision=entry.revision
        )
        return LatestJobEntry(latest, revision)

    async def in_flight_marker(self, hotkey: Hotkey) -> InFlightMarker:
        """What was last sent with a hotkey."""
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
        """What may be on its way for the longest, with whichever hotkey it was sent."""
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
        """Write down what is about to be sent with a hotkey.

        This is the fence that keeps a late holder of the hotkey's lease from sending.

        Raises:
            ConflictError: something else was sent since the slot was read.
        """
        value = submission.model_dump_json().encode()
        revision = await self._store.put(_in_flight_key(hotkey), value, revision=marker.revision)
        return replace(marker, submission=submission, revision=revision)

    async def is_in_flight(self, submission: Submission) -> bool:
        """Whether nobody has found out yet what became of something that was sent."""
        try:
            stored = await self.get(submission.identity, submission.job_id)
        except UnreadableEntryError:
            return True  # as far as is known
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
"""What the keys begin with that a backup needs; all others are an index of these."""


def _latest_key(subject: JobSubject) -> str:
    mechanism = "" if subject.mechanism is None else f".{subject.mechanism}"
    return f"lane.{subject.identity}.{subject.kind}{mechanism}"


def _in_flight_key(hotkey: Hotkey) -> str:
    return f"sent.{hotkey}"


def _log_unreadable(entry: Entry) -> None:
    text = "The ledger's entry %s cannot be read, and is made anew"
    UNREADABLE.report(logger, "job", (entry.key, entry.revision), text, entry.key)


def _is_done(job: Job) -> bool:
    """Return whether nothing is to be sent for a job any more."""
    return job.has_ended or job.has_succeeded


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
