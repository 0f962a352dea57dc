"""Rate limit of log lines that repeat for one cause."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

REMIND_EVERY_S: Final = 300.0
"""Seconds after which the same line is logged again."""
MAX_CAUSES: Final = 1000
"""Maximum number of causes that are remembered; the oldest is logged again."""


class LogLimit:
    """Decides which repetitions of a log line are due: the first of each cause, then reminders.

    Args:
        remind_every_s: seconds between two lines of the same cause.
        max_causes: maximum number of causes that are remembered.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        *,
        remind_every_s: float = REMIND_EVERY_S,
        max_causes: int = MAX_CAUSES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._remind_every_s = remind_every_s
        self._max_causes = max_causes
        self._clock = clock
        self._logged_at_s: OrderedDict[Hashable, float] = OrderedDict()

    def is_due(self, *cause: Hashable) -> bool:
        """Return whether to log now, and count that as logged.

        Args:
                cause: identifies the cause, without values that change each time.
        """
        now_s = self._clock()
        logged_at_s = self._logged_at_s.get(cause)
        if logged_at_s is not None and now_s - logged_at_s < self._remind_every_s:
            return False
        self._logged_at_s[cause] = now_s
        self._logged_at_s.move_to_end(cause)
        if len(self._logged_at_s) > self._max_causes:
            self._logged_at_s.popitem(last=False)
        return True


def error_origin(error: BaseException) -> tuple[str, str, int]:
    """Return the class of an error, and the file and line that raised it.

    They identify its cause; its text may contain values that change each time.
    """
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    trace = error.__traceback__
    if trace is None:
        return kind, "", 0
    while trace.tb_next is not None:
        trace = trace.tb_next
    return kind, trace.tb_frame.f_code.co_filename, trace.tb_lineno
