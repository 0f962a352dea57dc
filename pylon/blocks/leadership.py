"""Which of several workers publishes: the one that holds the lease, while it hears of the chain."""

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable
from typing import Final

from pylon.blocks.head_tracker import HeadTracker
from pylon.blocks.publish_progress import PublishProgress
from pylon.jetstream.lease import LeaseLostError, Leases, LeaseTakenError
from pylon_client.contract.failures import FailureError
from pylon_client.nats.cancellation import raise_if_cancelled

logger = logging.getLogger(__name__)

PUBLISHER_LEASE: Final = "publisher"
"""The name of the lease."""
ACQUIRE_RETRY_S: Final = 0.5
CHAIN_LOST_AFTER_S: Final = 3.0
"""A worker that has not heard of the chain for so long leaves publishing to another one."""
STALLED_AFTER_BLOCKS: Final = 10
"""Block times without a published block, while blocks are due, after which a turn ends."""
MAX_CONSECUTIVE_STALLS: Final = 2
"""Turns in a row that may end so before the worker counts as broken."""
_CHECKS_PER_STALL: Final = 20
"""Checks for a stall within the time after which a turn ends."""
_MAX_CHECK_INTERVAL_S: Final = 5.0
CANCEL_TIMEOUT_S: Final = 5.0
"""How long the lease is held for a publisher that was cancelled and does not end, in seconds."""


class Leadership:
    """Publishes while it is this worker's turn, so that the chain is read once and not by each.

    The lease saves reads and no more: two workers that publish at once, for as long as one has not
    noticed that it lost the lease, are kept apart by the stream itself.

    Args:
        leases: of the bucket for this purpose, which expire soon.
        head_tracker: a worker that hears nothing of the chain neither takes the lease nor keeps it.
        publish: publishes from where the stream ends, until it is cancelled.
        progress: records whether `publish` publishes what is due.
        stalled_after_s: a worker that has published no due block for this long ends its turn, and
            takes none for as long again, so that another worker can publish.
        cancel_timeout_s: how long the lease is held for a cancelled `publish` that does not end.

    Attributes:
        is_leader: whether this worker publishes now.
        terms: how often it has begun to.
        stalls: how often a turn ended because no due block was published.
    """

    def __init__(
        self,
        leases: Leases,
        head_tracker: HeadTracker,
        publish: Callable[[], Awaitable[None]],
        *,
        chain_lost_after_s: float = CHAIN_LOST_AFTER_S,
        progress: PublishProgress | None = None,
        stalled_after_s: float = math.inf,
        cancel_timeout_s: float = CANCEL_TIMEOUT_S,
    ) -> None:
        self.is_leader = False
        self.terms = 0
        self.stalls = 0
        self._progress = progress or PublishProgress()
        self._stalled_after_s = stalled_after_s
        self._consecutive_stalls = 0
        self._published_at_stall = 0
        self._is_stalled = False
        self._is_stuck = False
        self._cancel_timeout_s = cancel_timeout_s
        self._leases = leases
        self._head_tracker = head_tracker
        self._publish = publish
        self._chain_lost_after_s = chain_lost_after_s

    @property
    def problems(self) -> list[str]:
        """Return why the worker should be restarted, if it should.

        It holds the lease and publishes nothing, or has done so in its last turns. While NATS or
        the chain is down, no block is due that could be published.
        """
        if self._is_stuck:
            return ["its publisher does not end"]
        if self._is_stalled:
            return ["it holds the publisher lease and publishes no block"]
        if (
            self._consecutive_stalls >= MAX_CONSECUTIVE_STALLS
            and not self._has_published_since_stall
        ):
            return [f"it published no block in its last {self._consecutive_stalls} turns"]
        return []

    async def run(self) -> None:
        """Take the lease whenever it is free, and publish while it is held, until cancelled."""
        while True:
            await self._head_tracker.wait_until_live()
            try:
                async with self._leases.hold(PUBLISHER_LEASE):
                    await self._lead()
            except LeaseTakenError:
                pass
            except LeaseLostError:
                logger.warning("This worker has lost its turn to publish")
            except FailureError as error:
                logger.info("Whether to publish cannot be told now: %s", error)
            finally:
                # Only now is the lease free: `publish` may take its time to end.
                was_stalled, self._is_stalled = self._is_stalled, False
            raise_if_cancelled()
            if was_stalled:
                await asyncio.sleep(self._stalled_after_s)
            await asyncio.sleep(ACQUIRE_RETRY_S * random.uniform(0.5, 1.0))  # noqa: S311 -- spreads load

    async def _lead(self) -> None:
        self.terms += 1
        self.is_leader = True
        logger.info("It is this worker's turn to publish")
        self._progress.mark_idle()
        self._progress.mark_due()  # what is left to publish is yet to be found out
        publishing = asyncio.ensure_future(self._publish())
        chain_lost = asyncio.create_task(
            self._head_tracker.wait_until_lost(self._chain_lost_after_s)
        )
        stalled = asyncio.create_task(self._wait_until_stalled())
        try:
            await asyncio.wait(
                {publishing, chain_lost, stalled}, return_when=asyncio.FIRST_COMPLETED
            )
            if publishing.done():
                publishing.result()
            if stalled.done():
                self._record_stall()
            else:
                logger.warning("Nothing is heard of the chain: another worker may publish")
        finally:
            self.is_leader = False
            await self._cancel(publishing, chain_lost, stalled)
            self._progress.mark_idle()

    async def _cancel(self, *tasks: asyncio.Future[None]) -> None:
        """Cancel tasks, and wait a while for them: the lease is held until this returns."""
        for task in tasks:
            task.cancel()
        ended, left = await asyncio.wait(tasks, timeout=self._cancel_timeout_s)
        await asyncio.gather(*ended, return_exceptions=True)
        if left:
            self._is_stuck = True
            logger.error("The publisher did not end within %g s", self._cancel_timeout_s)

    @property
    def _has_published_since_stall(self) -> bool:
        return self._progress.published_blocks != self._published_at_stall

    async def _wait_until_stalled(self) -> None:
        while True:
            await asyncio.sleep(
                min(self._stalled_after_s / _CHECKS_PER_STALL, _MAX_CHECK_INTERVAL_S)
            )
            if self._progress.stalled_s >= self._stalled_after_s:
                return

    def _record_stall(self) -> None:
        self.stalls += 1
        self._consecutive_stalls = (
            1 if self._has_published_since_stall else self._consecutive_stalls + 1
        )
        self._published_at_stall = self._progress.published_blocks
        self._is_stalled = True
        logger.error(
            "Releasing the publisher lease: no block published for %.0f s while the chain moves",
            self._progress.stalled_s,
        )
