"""Show the jobs of the job store, and each change of them."""

import asyncio
from collections.abc import Iterable
from typing import Final

from rich.console import Console

from pylon.cli.jobs.job_row import JOB_COLUMNS, job_row
from pylon.cli.screen import Screen
from pylon.common.deployment_settings import DeploymentSettings
from pylon.events.job_event_listener import subscribe_identity_jobs
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jobs.job_store import JobStore
from pylon.nats_server.worker_user import worker_connection_options
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import ENDED_JOBS_RETENTION_DAYS, Job
from pylon_client.contract.topology import JOBS_BUCKET
from pylon_client.contract.types import IdentityName, JobId
from pylon_client.contract.writes import ListJobs
from pylon_client.nats.nats_connection import NatsConnection, connect

JOBS_SHOWN: Final = 30


class _JobTable:
    """The newest jobs, by their ids."""

    def __init__(self) -> None:
        self._jobs: dict[JobId, Job] = {}

    def add(self, job: Job) -> bool:
        """Add or update a job; return whether it has changed."""
        known = self._jobs.get(job.job_id)
        if known is not None and not _is_newer(job, known):
            return False
        self._jobs[job.job_id] = job
        if len(self._jobs) > JOBS_SHOWN:
            oldest = min(self._jobs.values(), key=lambda one: one.created_at_ms)
            del self._jobs[oldest.job_id]
        return True

    def rows(self) -> list[tuple[str, ...]]:
        newest_first = sorted(self._jobs.values(), key=lambda one: -one.created_at_ms)
        return [job_row(job) for job in newest_first]


async def watch_jobs(settings: DeploymentSettings, console: Console) -> None:
    """Show the jobs of every identity and each of their changes, until interrupted.

    Raises:
        FailureError: NATS cannot be reached, the connection has ended permanently, or JetStream
            does not answer.
    """
    connection = await connect(worker_connection_options(settings, "pylon watch"))
    try:
        table = _JobTable()
        with Screen(console, JOB_COLUMNS, "Jobs") as screen:

            def update(jobs: Iterable[Job]) -> None:
                for job in jobs:
                    if table.add(job):
                        screen.show(table.rows, " ".join(filter(None, job_row(job))))

            for identity in settings.identities:
                await subscribe_identity_jobs(connection, identity, lambda job: update([job]))
            missed = asyncio.Event()
            missed.set()
            connection.on_gap(missed.set)
            while True:
                await _wait_for_gap(connection, missed)
                missed.clear()
                update(reversed(await _read_jobs(connection, settings.identities)))
    finally:
        await connection.close()


def _is_newer(job: Job, known: Job) -> bool:
    """Return whether a job has changed; the clocks of the workers that changed it may differ."""
    if known.has_ended:
        return False
    return job.has_ended or (job.updated_at_ms >= known.updated_at_ms and job != known)


async def _wait_for_gap(connection: NatsConnection, missed: asyncio.Event) -> None:
    """Wait until events may have been missed.

    Raises:
        FailureError: NATS_UNAVAILABLE, when the connection has ended permanently.
    """
    waiting = [asyncio.ensure_future(event.wait()) for event in (missed, connection.closed)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
    if connection.closed.is_set():
        raise FailureError(ErrorCode.NATS_UNAVAILABLE, "The connection to NATS has ended.")


async def _read_jobs(connection: NatsConnection, identities: Iterable[IdentityName]) -> list[Job]:
    async def ignore_change(_job: Job) -> None:
        pass

    store = JobStore(
        OrderedBucket(connection, JOBS_BUCKET),
        ignore_change,
        ended_retention_days=ENDED_JOBS_RETENTION_DAYS,
    )
    query = ListJobs(limit=JOBS_SHOWN)
    return [
        stored.job for identity in identities for stored in (await store.page(identity, query)).jobs
    ]
