"""Detects that the embedded nats-server cannot store messages, and when a restart helps.

A nats-server 2.14 stops storing messages of a stream at its first failed write, for example on a
full disk, and stores none until it is restarted, even when there is space again.
"""

import asyncio
import contextlib
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Final

from pylon_client.exponential_backoff import Backoff

logger = logging.getLogger(__name__)

PROBE_BYTES: Final = 4 * 2**20
"""Bytes that must be writable before the server is restarted."""
LOG_INTERVAL_S: Final = 60.0
"""Seconds between two log lines while the disk is not writable."""
PROBE_INITIAL_DELAY_S: Final = 1.0
PROBE_MAX_DELAY_S: Final = 30.0
"""Maximum delay before the next probe of the disk after restarts that did not help, in seconds."""

_STORE_ERROR: Final = re.compile(
    r"no space left on device|disk quota exceeded|input/output error|read-only file system"
    r"|critical write error|failed to store a msg|out of (?:space|resources)",
    re.IGNORECASE,
)


class EmbeddedStorage:
    """The folder of the embedded nats-server's streams.

    Args:
        folder: folder of the streams.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._failed = asyncio.Event()
        self._backoff = Backoff(PROBE_INITIAL_DELAY_S, PROBE_MAX_DELAY_S)

    def observe_log_line(self, line: str) -> bool:
        """Return whether a log line of the server reports a store error; record such an error."""
        if not _STORE_ERROR.search(line):
            return False
        self._failed.set()
        return True

    @property
    def has_failed(self) -> bool:
        """Return whether the running server has reported a store error."""
        return self._failed.is_set()

    def reset(self) -> None:
        """Forget the store errors of the previous server process."""
        self._failed.clear()

    async def wait_until_writable(self) -> None:
        """Wait until the server has reported a store error and the disk is writable again."""
        await self._failed.wait()
        logger.error(
            "The embedded NATS cannot store messages: %s. Publishing stops and writes are rejected "
            "until there is space on the disk of %s",
            self._free_space_text(),
            self._folder,
        )
        clock_s = asyncio.get_running_loop().time
        remind_at_s = clock_s() + LOG_INTERVAL_S
        while True:
            await self._backoff.wait()
            try:
                await asyncio.to_thread(self._probe)
            except OSError as error:
                # Probe often while the disk is full; long delays follow useless restarts.
                self._backoff.reset()
                if clock_s() >= remind_at_s:
                    remind_at_s = clock_s() + LOG_INTERVAL_S
                    logger.error(  # noqa: TRY400 -- the text is complete
                        "The disk of %s is still not writable: %s; %s",
                        self._folder,
                        error.strerror,
                        self._free_space_text(),
                    )
            else:
                return

    def _probe(self) -> None:
        """Write and sync a file.

        Raises:
            OSError: the disk is not writable.
        """
        path = self._folder / ".pylon-probe"
        try:
            with path.open("wb") as file:
                file.write(bytes(PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _free_space_text(self) -> str:
        try:
            return f"{shutil.disk_usage(self._folder).free / 2**20:.0f} MiB are free"
        except OSError as error:
            return f"its free space is not known ({error.strerror})"
