"""Jobs from a backup: what they become, so that none of them is carried out twice.

A backup does not say what was sent after it was made. So a job that had not ended in it is never
sent again:

- nothing of it was in flight: it ends as FAILED when it is restored;
- an extrinsic of it was in flight: the chain decides. Where that extrinsic is in a block of its
  era, the job ends by what the block says, else as FAILED, since a later one may have been sent;
- it is a sealed commitment on the chain: it is followed as before, which sends nothing.
"""

import time

from pylon.jobs.stored_job import JobRecord
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import IN_FLIGHT, Job, JobState


def prepare_restored(record: JobRecord) -> JobRecord:
    """Return the record of a backup as it is to be restored."""
    job = record.job
    if job.has_ended or job.state is JobState.COMMITTED:
        return record
    if job.state in IN_FLIGHT:
        return record.model_copy(update={"restored": True})
    ended = job.model_copy(
        update={
            "state": JobState.FAILED,
            "last_error": not_resubmitted_failure(job),
            "updated_at_ms": time.time_ns() // 1_000_000,
        }
    )
    return record.model_copy(update={"job": ended, "request": {}, "unanswered": False})


def not_resubmitted_failure(job: Job) -> Failure:
    """Return why a restored job ends unsent."""
    why = "" if job.last_error is None else f" Before: {job.last_error.detail}"
    return FailureError(
        ErrorCode.OUTCOME_UNKNOWN,
        "Restored from a backup: whether it was carried out after the backup is not known, so it "
        f"is not sent again. Put it again if the chain does not show it.{why}",
    ).failure
