"""Which of several workers publishes: the one that holds the lease, while it hears of the chain."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

from pylon.blocks.heads import Heads
from pylon.messaging.lease import LeaseLostError, Leases, LeaseTakenError
from pylon_client.contract.failures import FailureError
from pylon_client.transport.cancellation import heed_cancellation

logger = logging.getLogger(__name__)

PUBLISHER: Final = "publisher"
"""The name of the lease."""
ASK_AGAIN_S: Final = 0.5
GIVE_UP_AFTER_S: Final = 3.0
"""A worker that has not heard of the chain for so long leaves publishing to another one."""


class Leadership:
    """Publishes while it is this worker's turn, so that the chain is read once and not by each.

    The lease saves reads and no more: two workers that publish at once, for as long as one has not
    noticed that it lost the lease, are kept apart by the stream itself.

    Args:
        leases: of the bucket for this purpose, which expire soon.
        heads: a worker that hears nothing of the chain neither takes the lease nor keeps it.
        publish: publishes from where the stream ends, until it is cancelled.

    Attributes:
        is_leader: whether this worker publishes now.
        terms: how often it has begun to.
    """

    def __init__(
        self,
        leases: Leases,
        heads: Heads,
        publish: Callable[[], Awaitable[None]],
        *,
        give_up_after_s: float = GIVE_UP_AFTER_S,
    ) -> None:
        self.is_leader = False
        self.terms = 0
        self._leases = leases
        self._heads = heads
        self._publish = publish
        self._give_up_after_s = give_up_after_s

    async def run(self) -> None:
        """Take the lease whenever it is free, and publish while it is held, until cancelled."""
        while True:
            await self._heads.until_live()
            try:
                async with self._leases.hold(PUBLISHER):
                    await self._lead()
            except LeaseTakenError:
                pass
            except LeaseLostError:
                logger.warning("This worker has lost its turn to publish")
            except FailureError as error:
                logger.info("Whether to publish cannot be told now: %s", error)
            heed_cancellation()
            await asyncio.sleep(ASK_AGAIN_S * random.uniform(0.5, 1.0))  # noqa: S311 -- spreads load

    async def _lead(self) -> None:
        self.terms += 1
        self.is_leader = True
        logger.info("It is this worker's turn to publish")
        publishing = asyncio.ensure_future(self._publish())
        chain_lost = asyncio.create_task(self._heads.until_dead(self._give_up_after_s))
        try:
            await asyncio.wait({publishing, chain_lost}, return_when=asyncio.FIRST_COMPLETED)
            if publishing.done():
                publishing.result()
            logger.warning("Nothing is heard of the chain: another worker may publish")
        finally:
            self.is_leader = False
            publishing.cancel()
            chain_lost.cancel()
            await asyncio.gather(publishing, chain_lost, return_exceptions=True)
