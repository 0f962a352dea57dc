"""The table of jobs: its columns, and the cells of one job."""

from datetime import UTC, datetime
from typing import Final

from pylon.cli.screen import Column
from pylon_client.contract.jobs import Job

JOB_COLUMNS: Final = (
    Column("job", 0),
    Column("identity", 2),
    Column("kind", 4),
    Column("state", 1),
    Column("since (UTC)", 5),
    Column("tries", 7),
    Column("waits for", 6),
    Column("why", 3, wraps=True),
)


def job_row(job: Job) -> tuple[str, ...]:
    """Return the cells of a job's row."""
    since = datetime.fromtimestamp(job.updated_at_ms / 1000, UTC).strftime("%m-%d %H:%M:%S")
    waits_for = "" if job.retry_at_block is None or job.has_ended else f"block {job.retry_at_block}"
    # In records of earlier versions, a job that succeeded may have the error of an earlier attempt.
    error = None if job.has_succeeded else job.last_error
    error_text = "" if error is None else f"{error.code}: {error.detail}"
    kind = str(job.kind) if not job.mechanism else f"{job.kind} {job.mechanism}"
    return (
        *(job.job_id, f"{job.identity} on {job.netuid}", kind, str(job.state)),
        *(since, str(job.attempts), waits_for, error_text),
    )
