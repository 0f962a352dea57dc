"""How long to wait for a job's end, and how often to ask: for both clients."""

import random
import time
from typing import Final

from pylon_client.contract.jobs import Job
from pylon_client.contract.types import JobId
from pylon_client.errors import BasePylonException, PylonJobTimeoutException

WAIT_FOR_JOB_S: Final = 600.0
"""For how long a job is waited for where nothing else is said."""
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
"""Jobs change with blocks, which are seconds apart: asking more often would tell nothing new."""


class WaitingForJob:
    """One wait: is told what each asking came to, and says how long to pause before the next.

    Args:
        job_id: of the job.
        timeout_s: for how long to ask.
    """

    def __init__(self, job_id: JobId, timeout_s: float) -> None:
        self._job_id = job_id
        self._timeout_s = timeout_s
        self._until_s = time.monotonic() + timeout_s
        self._longest_pause_s = FIRST_PAUSE_S
        self._job: Job | None = None
        self._error: BasePylonException | None = None

    def found(self, job: Job) -> bool:
        """Take a job as it is now; whether it has ended."""
        self._job = job
        self._error = None
        return job.has_ended

    def failed(self, error: BasePylonException) -> None:
        """Take that a question was not answered, as while a part of Pylon restarts.

        Raises:
            BasePylonException: that very one, where asking again would not help.
        """
        if not error.retryable:
            raise error
        self._error = error

    def pause_s(self) -> float:
        """For how many seconds to pause now.

        Raises:
            PylonJobTimeoutException: the time is over.
        """
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise PylonJobTimeoutException(
                self._job_id, self._timeout_s, self._job
            ) from self._error
        longest_s = self._longest_pause_s
        self._longest_pause_s = min(longest_s * 2, LONGEST_PAUSE_S)
        pause_s = random.uniform(longest_s / 2, longest_s)  # noqa: S311 -- jitter, no secret
        return min(pause_s, left_s)
