"""Wait until a job has succeeded or ended, by its events instead of polling the job store."""

import asyncio
from collections.abc import Awaitable, Callable, Container, Generator
from contextlib import contextmanager
from typing import Final

from pylon.jobs.job_store import JobStore
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job
from pylon_client.contract.types import JobId

POLL_INTERVAL_S: Final = 5.0
"""Seconds without an event after which the job store is read: events may be lost."""

Subscribe = Callable[[Container[str], Callable[[Job], None]], Awaitable[None]]
"""Subscribes to the changes of the jobs whose ids are in the container at the time."""


class JobWaiter:
    """Lets the requests of this process wait for jobs.

    Args:
        store: the job store.
        subscribe: called once, when the first request waits; see `subscribe_jobs`.
    """

    def __init__(self, store: JobStore, subscribe: Subscribe) -> None:
        self._store = store
        self._subscribe = subscribe
        self._subscription: asyncio.Task[None] | None = None
        self._waiting: dict[str, set[asyncio.Future[Job]]] = {}

    async def wait_until_done(self, job: Job) -> Job:
        """Return the job once it has succeeded or ended.

        Raises:
            FailureError: NOT_FOUND if the job is no longer stored; NATS_UNAVAILABLE.
        """
        if _is_done(job):
            return job
        with self._register(job.job_id) as done:
            await self._subscribe_once()
            while True:
                # Read the job first: it may have changed before the request was registered.
                stored = await self._store.get(job.identity, job.job_id)
                if stored is None:
                    raise FailureError(ErrorCode.NOT_FOUND, f"Job {job.job_id} not found.")
                if _is_done(stored.job):
                    return stored.job
                await asyncio.wait({done}, timeout=POLL_INTERVAL_S)
                if done.done():
                    return done.result()

    def observe(self, job: Job) -> None:
        """Wake the requests that wait for a job, if it has succeeded or ended."""
        if _is_done(job):
            for done in self._waiting.get(job.job_id, ()):
                if not done.done():
                    done.set_result(job)

    @contextmanager
    def _register(self, job_id: JobId) -> Generator[asyncio.Future[Job]]:
        done = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(job_id, set())
        waiting.add(done)
        try:
            yield done
        finally:
            done.cancel()
            waiting.discard(done)
            if not waiting and self._waiting.get(job_id) is waiting:
                del self._waiting[job_id]

    async def _subscribe_once(self) -> None:
        if self._subscription is None:
            subscribing = self._subscribe(self._waiting, self.observe)
            self._subscription = asyncio.ensure_future(subscribing)
        # The request that subscribes may be cancelled while others rely on it.
        await asyncio.shield(self._subscription)


def _is_done(job: Job) -> bool:
    return job.has_ended or job.has_succeeded
