"""Finish jobs that this worker cannot carry out: of another chain, restored, or unsupported."""

from pylon.jetstream.consumer import Ack, Acknowledgement
from pylon.jobs.job_planner import Updates, would_change
from pylon.jobs.job_store import JobStore
from pylon.jobs.restored_jobs import not_resubmitted_failure
from pylon.jobs.stored_job import StoredJob
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import IN_FLIGHT, JobState


async def finish_wrong_chain(store: JobStore, stored: StoredJob) -> Acknowledgement:
    """Finish a job of a chain that this worker is not connected to."""
    failure = FailureError(
        ErrorCode.WRONG_CHAIN,
        f"The job is for the chain with genesis {stored.job.genesis}; this worker is connected "
        "to another chain.",
    ).failure
    was_sent = stored.job.state in IN_FLIGHT or stored.job.has_succeeded
    state = JobState.FAILED if was_sent else JobState.REJECTED
    await store.change(stored, state, last_error=failure)
    return Ack()


async def finish_restored(store: JobStore, stored: StoredJob) -> Acknowledgement:
    """Finish a restored job whose extrinsic is not on the chain; another may be in flight."""
    await store.change(stored, JobState.FAILED, last_error=not_resubmitted_failure(stored.job))
    return Ack()


async def finish_if_unsupported(
    store: JobStore, stored: StoredJob, error: FailureError, updates: Updates
) -> Acknowledgement:
    """Finish a job that the chain's runtime does not support; raise any other failure again.

    Before raising, the deadline is stored: the job may fail until the deadline has passed.
    """
    if error.code is ErrorCode.RUNTIME_UNSUPPORTED:
        await store.change(stored, JobState.REJECTED, **updates, last_error=error.failure)
        return Ack()
    if would_change(stored.job, updates):
        await store.change(stored, **updates)
    raise error
