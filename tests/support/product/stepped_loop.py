"""An event loop whose clock advances by a fixed step per iteration: timeouts take no real time."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

STEP_S: Final = 0.002
"""Seconds per iteration: far less than any timeout, so that replies still arrive in time."""


class SteppedLoop(asyncio.SelectorEventLoop):
    """Advance the clock by a step per iteration, or to the next timer if no callback is ready."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0

    def time(self) -> float:
        return self._now_s

    def _run_once(self) -> None:
        state: Any = self
        self._now_s += STEP_S
        if not state._ready and state._scheduled:
            self._now_s = max(self._now_s, state._scheduled[0].when())
        getattr(super(), "_run_once")()  # noqa: B009 -- it is not public


def run_stepped(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end on a `SteppedLoop`."""
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        runner.run(work)
