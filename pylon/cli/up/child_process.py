"""A process of the tree: started, started again when it dies, stopped with it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pylon.common.processes import die_with_parent, terminate_process

log = logging.getLogger(__name__)

INITIAL_RESTART_DELAY_S = 1.0
"""Pause before the first restart, in seconds.

It doubles each time: a cause that stays, such as a full disk, does not fill the log.
"""
MAX_RESTART_DELAY_S = 30.0
RESTART_DELAY_RESET_S = 60.0
"""Run time, in seconds, after which earlier ends no longer count."""


class ChildExitedError(Exception):
    """A process ended before the tree was ready, so starting it again would not help."""


@dataclass(slots=True)
class ChildProcess:
    """One process of the tree.

    It gets a process group of its own, so that a Ctrl-C in the terminal reaches only the parent,
    which then stops its children in their order.

    Attributes:
        name: what log lines call it.
        argv: the command.
        env: its whole environment.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def keep_running(self, ready: asyncio.Event) -> None:
        """Run the command, and once the tree is `ready` again whenever it ends, until `stop`.

        Raises:
            ChildExitedError: it ended before.
        """
        pause_s = INITIAL_RESTART_DELAY_S
        while not self._stopping.is_set():
            started_at_s = time.monotonic()
            self._process = await asyncio.create_subprocess_exec(
                *self.argv,
                env=self.env,
                stdin=asyncio.subprocess.DEVNULL,
                process_group=0,
                preexec_fn=die_with_parent,
            )
            if self._stopping.is_set():  # while it was being started; it has nothing in hand yet
                self._process.kill()
            code = await self._process.wait()
            if self._stopping.is_set():
                return
            if not ready.is_set():
                raise ChildExitedError(f"{self.name} ended with code {code}; its log says why")
            if time.monotonic() - started_at_s >= RESTART_DELAY_RESET_S:
                pause_s = INITIAL_RESTART_DELAY_S
            log.warning(
                "%s ended with code %s; starting it again in %g s", self.name, code, pause_s
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
            pause_s = min(2 * pause_s, MAX_RESTART_DELAY_S)

    async def stop(self, timeout_s: float) -> None:
        """End the process: SIGTERM, and SIGKILL when that takes longer than `timeout_s`."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        if not await terminate_process(process, timeout_s):
            log.warning("%s did not stop in time and was killed", self.name)
