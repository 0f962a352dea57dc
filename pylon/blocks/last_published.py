"""The newest block that JetStream stores, and the time when it was stored.

Subscribers receive a block even if JetStream cannot store it, so a received block is not enough.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from pylon_client.contract.failures import FailureError
from pylon_client.contract.types import BlockNumber
from pylon_client.nats.cancellation import raise_if_cancelled

logger = logging.getLogger(__name__)

POLL_INTERVAL_S: Final = 5.0
"""Seconds between two reads of the event stream, by which a worker observes another publisher."""

StoredBlock = tuple[BlockNumber, datetime | None]
"""Number of the newest stored block, and the time when the server stored it."""


class LastPublished:
    """The newest block event of the stream, as this worker knows it.

    Args:
        clock_s: monotonic time in seconds.

    Attributes:
        block_number: number of the block; None before the first observation.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.block_number: BlockNumber | None = None
        self._clock_s = clock_s
        self._stored_at_s = 0.0
        self._changes = 0

    @property
    def age_s(self) -> float | None:
        """Return the seconds since the block was stored; None before the first observation.

        For a block stored before this worker first read the stream, it is computed from the clocks
        of the server and of this machine, and is never negative.
        """
        return None if self.block_number is None else self._clock_s() - self._stored_at_s

    @property
    def stored_at_text(self) -> str:
        """Return the time when the block was stored, in UTC; empty before the first observation."""
        if self.age_s is None:
            return ""
        return datetime.fromtimestamp(time.time() - self.age_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def observe(self, number: BlockNumber, *, age_s: float = 0.0) -> None:
        """Record the newest block of the stream.

        Args:
            number: number of the block; lower than before in a stream that was created again.
            age_s: seconds since it was stored; used for the first observation only.
        """
        if number == self.block_number:
            return
        self._stored_at_s = self._clock_s() - (age_s if self.block_number is None else 0.0)
        self.block_number = number
        self._changes += 1

    async def poll(
        self,
        newest: Callable[[], Awaitable[StoredBlock | None]],
        *,
        interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        """Read the stream periodically until cancelled.

        Args:
            newest: reads the newest stored block; returns None for an empty stream.
            interval_s: seconds between two reads.
        """
        while True:
            changes = self._changes
            try:
                stored = await newest()
            except FailureError as error:
                logger.debug("Could not read the last published block: %s", error)
            else:
                # A block that this worker has published meanwhile is newer than the result.
                if stored is not None and changes == self._changes:
                    self.observe(stored[0], age_s=_age_s(stored[1]))
            raise_if_cancelled()
            await asyncio.sleep(interval_s)


def _age_s(stored_at: datetime | None) -> float:
    return 0.0 if stored_at is None else max(0.0, time.time() - stored_at.timestamp())
