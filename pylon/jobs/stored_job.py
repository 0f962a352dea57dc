"""A job's entry in the ledger, and reading it whatever it holds."""

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
    """A job's entry that this worker cannot read: a newer version's, or a broken one's."""

    def __init__(self, key: str) -> None:
        super().__init__(ErrorCode.UNDECODABLE, f"The ledger's entry {key} cannot be read.")


class JobRecord(BaseModel):
    """A job and what only workers need to know of it.

    Attributes:
        job: what everybody may know.
        number: its place in its lane; a greater one is newer.
        digest: of what was asked, to tell whether the same is asked again.
        request: what was asked, as the operation's parameters; empty once the job has ended or
            succeeded: what is published sealed would otherwise be readable here for days.
        unanswered: nothing of it is sent, since its caller was not answered yet.
        restored: it was in flight in the backup from which it was restored. It is looked for on the
            chain and never sent again.
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
        """Where it queues."""
        return JobSubject(self.job.identity, self.job.kind, self.job.mechanism)


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A record as it was read."""

    record: JobRecord
    revision: Revision

    @property
    def job(self) -> Job:
        """The job itself."""
        return self.record.job


def decode_job(entry: Entry) -> StoredJob:
    """The job that an entry holds.

    Raises:
        UnreadableEntryError: none that can be read.
    """
    try:
        record = JobRecord.model_validate_json(entry.value)
        str(record.subject)
    except (ValidationError, InvalidSubjectError):
        raise UnreadableEntryError(entry.key) from None
    if entry.key != job_key(record.job.identity, record.job.job_id):
        # It would be changed under another key than it was read from.
        raise UnreadableEntryError(entry.key)
    return StoredJob(record, entry.revision)


def try_decode_job(entry: Entry) -> StoredJob | None:
    """The same, or None."""
    try:
        return decode_job(entry)
    except UnreadableEntryError:
        # One entry that a newer version wrote does not hide the others.
        UNREADABLE.report(
            logger,
            "job",
            (entry.key, entry.revision),
            "The ledger's entry %s cannot be read",
            entry.key,
        )
        return None


def job_key(identity: IdentityName, job_id: JobId) -> str:
    """Under which key a job stands."""
    return f"job.{identity}.{job_id}"
