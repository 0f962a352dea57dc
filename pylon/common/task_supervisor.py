"""Supervision of the parts of a process: a failed part restarts while the others run."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final

from pylon_client.exponential_backoff import Backoff
from pylon_client.log_limit import LogLimit, error_origin

logger = logging.getLogger(__name__)

RESTART_INITIAL_DELAY_S: Final = 0.2
"""Maximum delay before the first restart of a part, in seconds; it doubles with each failure."""
RESTART_MAX_DELAY_S: Final = 10.0
"""Maximum delay before any restart, in seconds."""
STEADY_AFTER_S: Final = 60.0
"""Run time in seconds after which a part counts as steady: earlier failures no longer count."""
FAILING_AFTER: Final = 6
"""Number of consecutive failures after which a part counts as failing."""


class TaskSupervisor:
    """Restarts the parts of a process after failures, independently of each other.

    Args:
        is_final: returns whether an error must end the process, because no restart can help.
            `supervise` raises such an error.
        initial_delay_s: maximum delay before the first restart of a part, in seconds.
        max_delay_s: maximum delay before any restart, in seconds.
        steady_after_s: run time in seconds after which earlier failures no longer count.
        clock: returns monotonic time in seconds.

    Attributes:
        restarts: number of restarts by name of the part.
    """

    def __init__(
        self,
        is_final: Callable[[Exception], bool] = lambda _: False,
        *,
        initial_delay_s: float = RESTART_INITIAL_DELAY_S,
        max_delay_s: float = RESTART_MAX_DELAY_S,
        steady_after_s: float = STEADY_AFTER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.restarts: Final = Counter[str]()
        self._is_final = is_final
        self._initial_delay_s = initial_delay_s
        self._max_delay_s = max_delay_s
        self._steady_after_s = steady_after_s
        self._clock = clock
        self._backoffs: dict[str, Backoff] = {}
        self._log_limit = LogLimit()
        self._started_at_s: dict[str, float] = {}

    @property
    def failing(self) -> list[str]:
        """Return the parts that failed `FAILING_AFTER` times in a row and are not steady again."""
        return [name for name in self._backoffs if self._failures_of(name) >= FAILING_AFTER]

    async def supervise(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a part until it returns; restart it after each failure.

        Args:
            name: name of the part in logs, metrics and probes.
            run: runs the part; called again for each restart.

        Raises:
            Exception: an error for which `is_final` is true.
        """
        self.restarts[name] += 0  # exposed as 0, so that the first increase is visible
        try:
            while True:
                self._started_at_s[name] = self._clock()
                try:
                    await run()
                except Exception as error:
                    if self._is_final(error):
                        raise
                    pause_s = self._count_failure(name)
                    is_due = self._log_limit.is_due(name, error_origin(error))
                    logger.error(  # noqa: TRY400 -- the traceback is rate-limited
                        "%s failed; restart %d follows in %.1f s: %s",
                        *(name, self.restarts[name] + 1, pause_s, type(error).__name__),
                        exc_info=error if is_due else None,
                    )
                else:
                    return
                self._started_at_s.pop(name)
                await asyncio.sleep(pause_s)
                self.restarts[name] += 1
        finally:
            self._backoffs.pop(name, None)
            self._started_at_s.pop(name, None)

    def _failures_of(self, name: str) -> int:
        """Return the number of consecutive failures of a part; 0 once it is steady."""
        started_at_s = self._started_at_s.get(name)
        if started_at_s is not None and self._clock() - started_at_s >= self._steady_after_s:
            return 0
        return self._backoffs[name].attempts if name in self._backoffs else 0

    def _count_failure(self, name: str) -> float:
        """Count a failure; return the delay before the restart, in seconds."""
        if self._failures_of(name) == 0:
            self._backoffs[name] = Backoff(self._initial_delay_s, self._max_delay_s)
        return self._backoffs[name].next_delay_s()
