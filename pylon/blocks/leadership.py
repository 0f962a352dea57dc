"""Elects the publisher: the worker that holds the lease, while its chain is live."""

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
"""Seconds without a new head after which a worker releases the publisher lease."""
STALLED_AFTER_BLOCKS: Final = 10
"""Block times without a published block, while blocks are due, after which a term ends."""
MAX_CONSECUTIVE_STALLS: Final = 2
"""Consecutive stalled terms after which the worker reports a problem."""
_CHECKS_PER_STALL: Final = 20
"""Number of checks for a stall within the time after which a term ends."""
_MAX_CHECK_INTERVAL_S: Final = 5.0
CANCEL_TIMEOUT_S: Final = 5.0
"""Seconds for which the lease is held for a cancelled publisher that does not end."""


class Leadership:
    """Publishes while this worker holds the publisher lease, so that one worker reads the chain.

    The lease only saves reads. Two workers may publish at the same time until one notices that it
    lost the lease; the stream's compare-and-set keeps their events in order.

    Args:
        leases: leases of the publisher's bucket, with a short time to live.
        head_tracker: a worker acquires and holds the lease only while its chain is live.
        publish: publishes the blocks after the last stored one, until it is cancelled.
        chain_lost_after_s: seconds without a new head after which the lease is released.
        progress: records whether `publish` publishes due blocks.
        stalled_after_s: seconds without a published block, while blocks are due, after which the
            term ends. The worker then does not acquire the lease for the same time.
        cancel_timeout_s: seconds for which the lease is held for a cancelled `publish` that does
            not end.

    Attributes:
        is_leader: whether this worker publishes now.
        terms: number of terms of this worker.
        stalls: number of terms that ended because no due block was published.
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
        """Return the reasons for a restart of the worker.

        The worker holds the lease and publishes nothing, or did so in its last terms. While NATS or
        the chain is down, no block counts as due.
        """
        if self._is_stuck:
            return ["its publisher does not end"]
        if self._is_stalled:
            return ["it holds the publisher lease and publishes no block"]
        if (
            self._consecutive_stalls >= MAX_CONSECUTIVE_STALLS
            and not self._has_published_since_stall
        ):
            return [f"it published no block in its last {self._consecutive_stalls} terms"]
        return []

    async def run(self) -> None:
        """Acquire the lease whenever it is free, and publish while it is held, until cancelled."""
        while True:
            await self._head_tracker.wait_until_live()
            try:
                async with self._leases.hold(PUBLISHER_LEASE):
                    await self._lead()
            except LeaseTakenError:
                pass
            except LeaseLostError:
                logger.warning("Lost the publisher lease: it was not renewed in time")
            except FailureError as error:
                logger.info("Could not acquire the publisher lease: %s; retrying", error)
            finally:
                # The lease is free only now: `publish` may take some time to end.
                was_stalled, self._is_stalled = self._is_stalled, False
            raise_if_cancelled()
            if was_stalled:
                await asyncio.sleep(self._stalled_after_s)
            await asyncio.sleep(ACQUIRE_RETRY_S * random.uniform(0.5, 1.0))  # noqa: S311 -- spreads load

    async def _lead(self) -> None:
        self.terms += 1
        self.is_leader = True
        logger.info("Acquired the publisher lease")
        self._progress.mark_idle()
        self._progress.mark_due()  # until the blocks to publish are known
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
                logger.warning(
                    "Releasing the publisher lease: no new head for %g s", self._chain_lost_after_s
                )
        finally:
            self.is_leader = False
            await self._cancel(publishing, chain_lost, stalled)
            self._progress.mark_idle()

    async def _cancel(self, *tasks: asyncio.Future[None]) -> None:
        """Cancel tasks and wait until they end, up to a timeout; the lease is held meanwhile."""
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
