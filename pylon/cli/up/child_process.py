"""A child process of `pylon up`: started, restarted when it exits, and stopped."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pylon.common.processes import die_with_parent, terminate_process
from pylon_client.exponential_backoff import Backoff

logger = logging.getLogger(__name__)

INITIAL_RESTART_DELAY_S = 1.0
"""Delay before the first restart, in seconds.

It doubles each time, so that a permanent cause, such as a full disk, does not fill the log.
"""
MAX_RESTART_DELAY_S = 30.0
RESTART_DELAY_RESET_S = 60.0
"""Run time after which the restart delay is reset, in seconds."""


class ChildExitedError(Exception):
    """A process exited before all processes were ready, so a restart would not help."""


@dataclass(slots=True)
class ChildProcess:
    """A supervised child process.

    It runs in a separate process group, so that Ctrl-C in the terminal reaches only the parent,
    which stops its children in order.

    Attributes:
        name: name in log lines.
        argv: command line.
        env: complete environment.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def keep_running(self, ready: asyncio.Event) -> None:
        """Run the command until `stop`, and restart it when it exits after `ready` was set.

        Raises:
            ChildExitedError: it exited before `ready` was set.
        """
        backoff = Backoff(INITIAL_RESTART_DELAY_S, MAX_RESTART_DELAY_S, jitter=False)
        while not self._stopping.is_set():
            started_at_s = time.monotonic()
            self._process = await asyncio.create_subprocess_exec(
                *self.argv,
                env=self.env,
                stdin=asyncio.subprocess.DEVNULL,
                process_group=0,
                preexec_fn=die_with_parent,
            )
            if self._stopping.is_set():  # during the start; it has no work in progress
                self._process.kill()
            code = await self._process.wait()
            if self._stopping.is_set():
                return
            if not ready.is_set():
                raise ChildExitedError(f"{self.name} ended with code {code}; see its log")
            if time.monotonic() - started_at_s >= RESTART_DELAY_RESET_S:
                backoff.reset()
            delay_s = backoff.next_delay_s()
            logger.warning("%s ended with code %s; restarting in %g s", self.name, code, delay_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._stopping.wait()

    async def stop(self, timeout_s: float) -> None:
        """Stop the process: SIGTERM, then SIGKILL after `timeout_s` seconds."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        if not await terminate_process(process, timeout_s):
            logger.warning("%s did not stop within %g s and was killed", self.name, timeout_s)
