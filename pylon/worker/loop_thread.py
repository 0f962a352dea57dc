"""A thread with its own event loop, so that load on one loop does not delay another."""

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import uvloop

logger = logging.getLogger(__name__)

T = TypeVar("T")

JOIN_TIMEOUT_S: Final = 5.0
"""Timeout for joining the thread, in seconds."""
HEARTBEAT_INTERVAL_S: Final = 0.5
"""Seconds between two heartbeats of the loop."""
HEARTBEAT_CHECK_INTERVAL_S: Final = 1.0
"""Seconds between two checks for a heartbeat."""
BLOCKED_AFTER_S: Final = 60.0
"""Seconds without a heartbeat after which the loop counts as blocked.

A busy loop still has heartbeats: one iteration takes a few seconds at most.
"""


class LoopThread:
    """`async with LoopThread(name) as thread:` runs an event loop on a separate thread.

    Args:
        name: name of the thread.
        blocked_after_s: seconds without a heartbeat after which the loop counts as blocked.
        check_interval_s: seconds between two checks for a heartbeat.
    """

    def __init__(
        self,
        name: str,
        *,
        blocked_after_s: float = BLOCKED_AFTER_S,
        check_interval_s: float = HEARTBEAT_CHECK_INTERVAL_S,
    ) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._watchdog_task: asyncio.Task[None] | None = None
        self._blocked_after_s = blocked_after_s
        self._check_interval_s = check_interval_s
        self._heartbeats = 0
        self._silent_s = 0.0

    @property
    def problems(self) -> list[str]:
        """Return why the process should be restarted: the loop is blocked."""
        if self._silent_s < self._blocked_after_s:
            return []
        return [f"the loop of {self._thread.name} has been blocked for {self._silent_s:.0f} s"]

    async def __aenter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        self._watchdog_task = asyncio.create_task(
            self._run_watchdog(), name=f"watch of {self._thread.name}"
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel the tasks of the loop, and join the thread."""
        if self._watchdog_task is not None:
            self._watchdog_task.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join, JOIN_TIMEOUT_S)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the thread's loop and return its result; cancellation cancels it."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def call_soon(self, function: Callable[..., object], *args: object) -> None:
        """Schedule a function on the thread's loop; do nothing if the loop is closed."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().call_soon(self._heartbeat)
            runner.get_loop().run_forever()

    def _heartbeat(self) -> None:
        self._heartbeats += 1
        self._loop.call_later(HEARTBEAT_INTERVAL_S, self._heartbeat)

    async def _run_watchdog(self) -> None:
        """Check for heartbeats, on the loop that started the thread.

        Time in which this loop does not run either, as in a suspended process, does not count.
        """
        while True:
            beats = self._heartbeats
            await asyncio.sleep(self._check_interval_s)
            if self._heartbeats != beats:
                self._silent_s = 0.0
                continue
            was_blocked = bool(self.problems)
            self._silent_s += self._check_interval_s
            if self.problems and not was_blocked:
                logger.error("%s:\n%s", self.problems[0].capitalize(), self._stack())

    def _stack(self) -> str:
        """Return the stack of the thread."""
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] -- documented, for debuggers
        return "the thread has ended" if frame is None else "".join(traceback.format_stack(frame))
