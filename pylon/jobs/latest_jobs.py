"""The latest job of each queue, which supersedes the older ones.

The key is `lane.<identity>.<kind>[.<mechanism>]`. The prefix stays `lane.` because stored data uses
it.
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from pylon.jetstream.bucket import ABSENT
from pylon.jobs.bucket_port import BucketPort
from pylon.jobs.job_reads import all_jobs, read_job
from pylon.jobs.stored_job import JobRecord, StoredJob, UnreadableEntryError, report_replaced
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.types import IdentityName, JobId, Revision


class LatestJob(BaseModel):
    """The latest job of a queue.

    Attributes:
        number: number of the job in its queue; 0 before the first one.
        job_id: id of the job; None before the first one.
        digest: digest of the job's request; None before the first one, and if a worker of an older
            version wrote the entry.
    """

    model_config = ConfigDict(frozen=True)

    number: int = 0
    job_id: JobId | None = None
    digest: str | None = None


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


class LatestJobs:
    """Reads and writes the latest job of each queue.

    Args:
        store: the bucket of the job store.
    """

    def __init__(self, store: BucketPort) -> None:
        self._store = store

    async def entry(self, subject: JobSubject) -> LatestJobEntry:
        """Return the latest job of a queue."""
        entry = await self._store.get(_latest_key(subject))
        if entry is None:
            return LatestJobEntry(LatestJob(), ABSENT)
        try:
            latest = LatestJob.model_validate_json(entry.value)
        except ValidationError:
            report_replaced(entry)
            latest = await self._find_latest(subject)
        return LatestJobEntry(latest, entry.revision)

    async def set(self, entry: LatestJobEntry, record: JobRecord) -> LatestJobEntry:
        """Make a job the latest of its queue.

        Raises:
            ConflictError: the entry was changed since it was read.
        """
        latest = _latest_job(record)
        value = latest.model_dump_json().encode()
        revision = await self._store.put(
            _latest_key(record.subject), value, revision=entry.revision
        )
        return LatestJobEntry(latest, revision)

    async def list_jobs(self, identity: IdentityName) -> list[StoredJob]:
        """Return the latest job of each queue of an identity; skip unreadable ones."""
        found: list[StoredJob] = []
        for entry in await self._store.entries(f"lane.{identity}"):
            try:
                latest = LatestJob.model_validate_json(entry.value)
                if latest.job_id is None:
                    continue
                stored = await read_job(self._store, identity, latest.job_id)
            except (ValidationError, UnreadableEntryError):
                continue  # the acceptor or the executor of the next job repairs or skips it
            if stored is not None:
                found.append(stored)
        return found

    async def _find_latest(self, subject: JobSubject) -> LatestJob:
        """Return the latest job of a queue, by searching its jobs."""
        latest = LatestJob()
        async for stored in all_jobs(self._store, subject.identity):
            if stored.record.subject == subject and stored.record.number > latest.number:
                latest = _latest_job(stored.record)
        return latest


def _latest_job(record: JobRecord) -> LatestJob:
    return LatestJob(number=record.number, job_id=record.job.job_id, digest=record.digest)


def _latest_key(subject: JobSubject) -> str:
    mechanism = "" if subject.mechanism is None else f".{subject.mechanism}"
    return f"lane.{subject.identity}.{subject.kind}{mechanism}"
