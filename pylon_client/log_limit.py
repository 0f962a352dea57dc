"""Limits of log lines that one unchanged cause would repeat for ever."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

REMIND_EVERY_S: Final = 300.0
"""Seconds after which the same line is written again."""
CAUSES_MAX: Final = 1000
"""Maximum number of causes that are remembered; the oldest is logged again."""


class LogLimit:
    """Tells which repetitions of a log line are due: the first of each cause, then reminders.

    Args:
        remind_every_s: seconds between two lines of the same cause.
        causes_max: maximum number of causes that are remembered.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        *,
        remind_every_s: float = REMIND_EVERY_S,
        causes_max: int = CAUSES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._remind_every_s = remind_every_s
        self._causes_max = causes_max
        self._clock = clock
        self._logged_at_s: OrderedDict[Hashable, float] = OrderedDict()

    def is_due(self, *cause: Hashable) -> bool:
        """Return whether to log now, and count that as logged.

        Args:
            cause: identifies what is logged, without what changes from one time to the next.
        """
        now_s = self._clock()
        logged_at_s = self._logged_at_s.get(cause)
        if logged_at_s is not None and now_s - logged_at_s < self._remind_every_s:
            return False
        self._logged_at_s[cause] = now_s
        self._logged_at_s.move_to_end(cause)
        if len(self._logged_at_s) > self._causes_max:
            self._logged_at_s.popitem(last=False)
        return True


def error_origin(error: BaseException) -> tuple[str, str, int]:
    """Return what tells errors of different causes apart: the class, and the line that raised it.

    Values in the text of an error change from one time to the next.
    """
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    trace = error.__traceback__
    if trace is None:
        return kind, "", 0
    while trace.tb_next is not None:
        trace = trace.tb_next
    return kind, trace.tb_frame.f_code.co_filename, trace.tb_lineno
