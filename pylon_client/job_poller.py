"""Timing of the wait for the end of a job, for both clients.

Pylon publishes each change of a job. The job is read once at first, rarely while its events are
received, because an event may be lost, and otherwise about as often as jobs change.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from pylon_client.contract.jobs import Job
from pylon_client.contract.types import JobId
from pylon_client.errors import BasePylonException, PylonJobTimeoutException
from pylon_client.exponential_backoff import Backoff

logger = logging.getLogger(__name__)

JOB_TIMEOUT_S: Final = 600.0
"""Default timeout of the wait for the end of a job, in seconds."""
POLL_INITIAL_DELAY_S: Final = 0.1
POLL_MAX_DELAY_S: Final = 2.0
"""Maximum seconds between two reads; jobs change with blocks, which are seconds apart."""
POLL_WHILE_LIVE_S: Final = 15.0
"""Seconds between two reads while events are received."""

OnChange = Callable[[Job], object]


class JobPoller:
    """One wait for a job: observes the job, reports its changes, and computes the delays.

    Args:
        job_id: the job to wait for.
        timeout_s: timeout in seconds.
        on_change: called with the first observed job, and after each change.
    """

    def __init__(self, job_id: JobId, timeout_s: float, on_change: OnChange | None = None) -> None:
        self._job_id = job_id
        self._timeout_s = timeout_s
        self._deadline_s = time.monotonic() + timeout_s
        self._backoff = Backoff(POLL_INITIAL_DELAY_S, POLL_MAX_DELAY_S)
        self._on_change = on_change
        self._job: Job | None = None
        self._error: BasePylonException | None = None

    def observe(self, job: Job) -> bool:
        """Process the current job; return whether it has ended."""
        last = self._job
        if last is not None and not job.has_ended and job.updated_at_ms < last.updated_at_ms:
            return False  # an event that arrived after a newer reply
        self._error = None
        if job != last:
            self._job = job
            self._report(job, last)
        return job.has_ended

    def observe_error(self, error: BasePylonException) -> None:
        """Process a failed read, for example while a part of Pylon restarts.

        Raises:
            BasePylonException: the given error, if it cannot be retried.
        """
        if not error.retryable:
            raise error
        self._error = error

    def poll_delay_s(self, *, is_live: bool) -> float:
        """Return the delay before the next read of the job, in seconds.

        Args:
            is_live: whether events of the job are received.

        Raises:
            PylonJobTimeoutException: the timeout is over.
        """
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise PylonJobTimeoutException(
                self._job_id, self._timeout_s, self._job
            ) from self._error
        if is_live:
            return min(POLL_WHILE_LIVE_S, left_s)
        return min(self._backoff.next_delay_s(), left_s)

    def _report(self, job: Job, last: Job | None) -> None:
        if last is None or (last.state, last.last_error) != (job.state, job.last_error):
            error = "" if job.last_error is None else f": {job.last_error.detail}"
            reason = "" if job.has_succeeded else error
            logger.info("Job %s is %s%s", job.job_id, job.state, reason)
        if self._on_change is not None:
            self._on_change(job)
