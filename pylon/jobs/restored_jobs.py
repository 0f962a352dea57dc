"""Prepare jobs of a backup so that none of them is submitted twice.

A backup does not show which extrinsics were submitted after it was made. So a job that is open in
the backup is never submitted again:

- A job without an extrinsic in flight ends as FAILED when it is restored.
- A job with an extrinsic in flight ends by the block that includes the extrinsic. If no block of
  its era does, the job ends as FAILED, because a later extrinsic may have been submitted.
- A timelocked commitment on the chain is tracked as before, which submits nothing.
"""

import time

from pylon.jobs.stored_job import JobRecord
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import IN_FLIGHT, Job, JobState


def prepare_restored(record: JobRecord) -> JobRecord:
    """Return the record to restore for a record of a backup."""
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
    """Return the failure of a restored job that is not submitted again."""
    earlier = "" if job.last_error is None else f" Last error: {job.last_error.detail}"
    return FailureError(
        ErrorCode.OUTCOME_UNKNOWN,
        "Restored from a backup: it is unknown whether the job was carried out since then, so it "
        f"is not submitted again. Repeat the write if the chain does not show it.{earlier}",
    ).failure
