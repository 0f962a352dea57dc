"""Restarts of the parts of a process: a part that fails leaves the others running."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final

from pylon_client.log_limit import LogLimit, error_origin

logger = logging.getLogger(__name__)

RESTART_INITIAL_DELAY_S: Final = 0.2
"""Longest pause before the first restart of a part, in seconds; it doubles with each failure."""
RESTART_MAX_DELAY_S: Final = 10.0
"""Longest pause before any restart, in seconds."""
STEADY_AFTER_S: Final = 60.0
"""Run time, in seconds, after which the earlier failures of a part no longer count."""
FAILING_AFTER: Final = 6
"""Consecutive failures after which a part counts as failing: restarts of it do not help."""
_DOUBLINGS_MAX: Final = 16


class Supervisor:
    """Keeps the parts of a process running, each of them independent of the others.

    Args:
        is_final: return whether an error must end the process instead, such as a refusal that
            no restart can change. `supervise` raises it.
        initial_delay_s: longest pause before the first restart of a part, in seconds.
        max_delay_s: longest pause before any restart, in seconds.
        steady_after_s: run time after which the earlier failures of a part no longer count.
        clock: monotonic time in seconds.

    Attributes:
        restarts: the number of restarts of each part, by its name.
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
        self._failures: dict[str, int] = {}
        self._log_limit = LogLimit()
        self._started_at_s: dict[str, float] = {}

    @property
    def failing(self) -> list[str]:
        """Return the parts that failed `FAILING_AFTER` times in a row and are not steady again."""
        return [name for name in self._failures if self._failures_of(name) >= FAILING_AFTER]

    async def supervise(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a part, and run it again after every failure; return when it returns.

        Args:
            name: of the part, in logs, metrics and probes.
            run: starts the part; called again for each restart.

        Raises:
            Exception: an error for which `is_final` is true.
        """
        self.restarts[name] += 0  # a counter that begins at 0 shows its first increase
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
                    logger.error(  # noqa: TRY400 -- with the traceback where that is due
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
            self._failures.pop(name, None)
            self._started_at_s.pop(name, None)

    def _failures_of(self, name: str) -> int:
        """Return the consecutive failures of a part: none once it has run for long enough."""
        started_at_s = self._started_at_s.get(name)
        if started_at_s is not None and self._clock() - started_at_s >= self._steady_after_s:
            return 0
        return self._failures.get(name, 0)

    def _count_failure(self, name: str) -> float:
        """Count a failure; return the pause before the restart, in seconds."""
        before = self._failures_of(name)
        self._failures[name] = before + 1
        longest_s = self._initial_delay_s * 2 ** min(before, _DOUBLINGS_MAX)
        # Spreads load, guards nothing.
        return min(longest_s, self._max_delay_s) * random.uniform(0.5, 1.0)  # noqa: S311 - see above
