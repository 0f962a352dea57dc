"""The entry of a job in the job store, and its decoding."""

import logging
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pylon.common.unreadable_records import UNREADABLE
from pylon.jetstream.bucket import Entry
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job
from pylon_client.contract.subjects import InvalidSubjectError, JobSubject
from pylon_client.contract.types import IdentityName, JobId, Revision

logger = logging.getLogger(__name__)


class UnreadableEntryError(FailureError):
    """An entry that this worker cannot read: it is of a newer version, or corrupt."""

    def __init__(self, key: str) -> None:
        super().__init__(ErrorCode.UNDECODABLE, f"The job store entry {key} cannot be read.")


class JobRecord(BaseModel):
    """A job with the data that only workers need.

    Attributes:
        job: the job as callers see it.
        number: number of the job in its queue; a higher number is newer.
        digest: digest of the request, to recognise a repeated request.
        request: parameters of the operation; empty once the job has ended or succeeded, because
            timelocked content would otherwise be readable here for days.
        unanswered: whether the job must not be submitted yet, because its caller has no response.
        restored: whether the job was in flight in the backup that it was restored from. Its
            extrinsic is searched on the chain, and never submitted again.
    """

    model_config = ConfigDict(frozen=True)

    job: Job
    number: int
    digest: str
    request: dict[str, Any]
    unanswered: bool = False
    restored: bool = False

    @property
    def subject(self) -> JobSubject:
        """Return the queue subject of the job."""
        return JobSubject(self.job.identity, self.job.kind, self.job.mechanism)


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job record with the revision of its entry."""

    record: JobRecord
    revision: Revision

    @property
    def job(self) -> Job:
        """Return the job of the record."""
        return self.record.job


def decode_job(entry: Entry) -> StoredJob:
    """Return the job of an entry.

    Raises:
        UnreadableEntryError: the entry cannot be read.
    """
    try:
        record = JobRecord.model_validate_json(entry.value)
        str(record.subject)
    except (ValidationError, InvalidSubjectError):
        raise UnreadableEntryError(entry.key) from None
    if entry.key != job_key(record.job.identity, record.job.job_id):
        # A change of the job would be written to another key.
        raise UnreadableEntryError(entry.key)
    return StoredJob(record, entry.revision)


def try_decode_job(entry: Entry) -> StoredJob | None:
    """Return the job of an entry, or None if it cannot be read, which is logged once."""
    try:
        return decode_job(entry)
    except UnreadableEntryError:
        # An entry of a newer version must not hide the other jobs.
        UNREADABLE.report(
            logger,
            "job",
            (entry.key, entry.revision),
            "Skipped the unreadable job store entry %s",
            entry.key,
        )
        return None


def job_key(identity: IdentityName, job_id: JobId) -> str:
    """Return the key of a job."""
    return f"job.{identity}.{job_id}"
