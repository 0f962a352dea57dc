"""Tracks the head of the chain by subscription, and by polling while the subscription is silent."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from pylon.chain.port import Chain
from pylon_client.contract.failures import FailureError
from pylon_client.contract.types import BlockNumber
from pylon_client.exponential_backoff import Backoff

logger = logging.getLogger(__name__)

MAX_STEP_BLOCKS: Final = 8
"""Maximum distance in blocks at which a new head follows the last one without verification."""
MAX_UNVERIFIED_BLOCKS: Final = 32
"""Maximum distance in blocks of an announced head from the last verified one, in addition to the
blocks that the chain may have produced since."""
MAX_BLOCK_RATE_FACTOR: Final = 2.0
"""Maximum apparent block rate of a chain, as a multiple of the rate given by its block time."""


class HeadTracker:
    """Tracks the head of the chain; outages of the chain do not end it.

    An announced head that follows the last one is accepted without a read of the chain. Any other
    head is verified by a read of the node's best block, since a node may announce a false head or
    return to an earlier block. The verified head is accepted even if it is lower than the last one.

    Attributes:
        newest: the newest accepted head.
        suspect_heads: number of announced heads that had to be verified.
        is_live: whether the head has changed since the last failure of the chain.
        subscriptions: number of subscriptions to new heads.
        polls: number of head queries because the subscription was silent.
    """

    def __init__(
        self,
        chain: Chain,
        *,
        observe_head: Callable[[BlockNumber], None] = lambda _: None,
        silence_s: float,
        poll_after_s: float = 12.0,
        chain_timeout_s: float = 30.0,
        block_duration_s: float = 12.0,
    ) -> None:
        """Initialise the tracker; `run` starts it.

        Args:
            chain: the chain to track.
            observe_head: receives each accepted head.
            silence_s: seconds without a head after which the subscription is renewed.
            poll_after_s: seconds without a head after which the head is queried.
            chain_timeout_s: timeout of one query, in seconds.
            block_duration_s: the chain's block time, in seconds.
        """
        self.newest: BlockNumber | None = None
        self.is_live = False
        self.subscriptions = 0
        self.polls = 0
        self.suspect_heads = 0
        self._chain = chain
        self._observe_head = observe_head
        self._silence_s = silence_s
        self._poll_after_s = min(poll_after_s, silence_s)
        self._chain_timeout_s = chain_timeout_s
        self._block_duration_s = block_duration_s
        self._verified: BlockNumber | None = None
        self._verified_at_s = 0.0
        self._is_suspect = False
        self._changed = asyncio.Event()

    @property
    def changed(self) -> asyncio.Event:
        """Return an event that the next head or the next failure sets; it is never cleared."""
        return self._changed

    async def run(self) -> None:
        """Track the head until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="new heads")
            group.create_task(self._poll(), name="polls of the head")

    async def wait_until_live(self) -> None:
        """Wait until the chain is live."""
        while not self.is_live:
            await self._changed.wait()

    async def wait_until_lost(self, silence_s: float) -> None:
        """Wait until the chain has not been live for `silence_s` seconds."""
        while True:
            news = self._changed
            if self.is_live:
                await news.wait()
                continue
            try:
                async with asyncio.timeout(silence_s):
                    await self.wait_until_live()
            except TimeoutError:
                return

    def is_reorged_out(self, number: BlockNumber) -> bool:
        """Return whether a reorg has removed an announced block: the head is now below it."""
        return self.newest is not None and self.newest < number

    async def _follow(self) -> None:
        pauses = Backoff(initial_s=0.2, max_s=5.0)
        while True:
            await self._query_head()
            self.subscriptions += 1
            try:
                async with aclosing(
                    self._chain.subscribe_heads(silence_s=self._silence_s)
                ) as heads:
                    async for head in heads:
                        pauses.reset()
                        await self._on_announced_head(head)
            except FailureError as error:
                logger.log(pauses.log_level, "Lost the subscription to new heads: %s", error)
                self._mark_lost()
            await pauses.wait()

    async def _poll(self) -> None:
        while True:
            before = self.newest
            await asyncio.sleep(self._poll_after_s)
            if self.newest == before:
                self.polls += 1
                await self._query_head()

    async def _on_announced_head(self, head: BlockNumber) -> None:
        """Accept an announced head that follows the last one; otherwise query the head."""
        if self._follows(head):
            self._is_suspect = False
            self._on_head(head)
            return
        self.suspect_heads += 1
        await self._query_head()
        if self.newest is not None and not 0 <= self.newest - head <= MAX_STEP_BLOCKS:
            # A false head that is announced repeatedly is logged once.
            level = logging.DEBUG if self._is_suspect else logging.WARNING
            self._is_suspect = True
            logger.log(level, "False head: block %d announced, best block is %d", head, self.newest)

    def _follows(self, head: BlockNumber) -> bool:
        if self.newest is None or self._verified is None:
            return False
        passed_s = asyncio.get_running_loop().time() - self._verified_at_s
        made_blocks = MAX_BLOCK_RATE_FACTOR * passed_s / self._block_duration_s
        return (
            0 <= head - self.newest <= MAX_STEP_BLOCKS
            and head - self._verified <= MAX_UNVERIFIED_BLOCKS + made_blocks
        )

    async def _query_head(self) -> None:
        """Accept the best block that the node returns."""
        try:
            block = await self._chain.latest_block(timeout_s=self._chain_timeout_s)
        except FailureError as error:
            logger.info("Could not query the chain's head: %s", error)
            self._mark_lost()
        else:
            self._verified = block.number
            self._verified_at_s = asyncio.get_running_loop().time()
            self._on_head(block.number)

    def _on_head(self, head: BlockNumber) -> None:
        # A lower head is accepted as well: published numbers are not published again, but a chain
        # that went back must not seem to be ahead.
        if head != self.newest:
            self.is_live = True
        self.newest = head
        self._observe_head(head)
        self._notify()

    def _mark_lost(self) -> None:
        # An unchanged head does not make the chain live again: the node may be stuck.
        self.is_live = False
        self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
