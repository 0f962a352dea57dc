"""The chain's head as it moves: by subscription, and by asking while that is silent."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from pylon.chain.port import Chain
from pylon.common.backoff import Backoff
from pylon_client.contract.failures import FailureError
from pylon_client.contract.types import BlockNumber

logger = logging.getLogger(__name__)

MAX_STEP_BLOCKS: Final = 8
"""A head this far above the last one follows it; one further above, or below, is verified."""
MAX_UNVERIFIED_BLOCKS: Final = 32
"""Blocks that announced heads may be above the last verified head, beside those that time makes."""
MAX_BLOCK_RATE_FACTOR: Final = 2.0
"""How many times faster than its block time a chain may seem to be."""


class HeadTracker:
    """Follows the head of the chain for as long as it runs, whatever happens to the chain.

    A new head that follows the last one costs no read of the chain: the node announces it by
    itself. Any other head counts only when its block can be read: a node may announce a false one,
    or go back to an earlier block. The head that the chain then has counts, also a lower one.

    Attributes:
        newest: the newest head that counts.
        suspect_heads: how many announced heads were verified, since they did not follow the last one.
        is_live: the head has moved since the chain last failed to tell of it.
        subscriptions: how often the new heads were subscribed to.
        polls: how often the head was asked for because the subscription was silent.
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
        """Follow nothing yet.

        Args:
            chain: what to follow.
            observe_head: told of each head as soon as it is known.
            silence_s: after this long without a head, the subscription is given up.
            poll_after_s: after this long without a head, it is asked for.
            chain_timeout_s: how long one question may take.
            block_duration_s: the chain's pace, in seconds per block.
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
        """An event that is set by the next head, or by the next failure, and never cleared."""
        return self._changed

    async def run(self) -> None:
        """Follow the head, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="new heads")
            group.create_task(self._poll(), name="polls of the head")

    async def wait_until_live(self) -> None:
        """Return once the chain is heard of."""
        while not self.is_live:
            await self._changed.wait()

    async def wait_until_lost(self, silence_s: float) -> None:
        """Return once the chain has not been heard of for so long."""
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
                logger.log(pauses.log_level, "New blocks are not announced any more: %s", error)
                self._mark_lost()
            await pauses.wait()

    async def _poll(self) -> None:
        while True:
            heard = self.newest
            await asyncio.sleep(self._poll_after_s)
            if self.newest == heard:
                self.polls += 1
                await self._query_head()

    async def _on_announced_head(self, head: BlockNumber) -> None:
        """Let an announced head count if it follows the last one; else ask for the head."""
        if self._follows(head):
            self._is_suspect = False
            self._on_head(head)
            return
        self.suspect_heads += 1
        await self._query_head()
        if self.newest is not None and not 0 <= self.newest - head <= MAX_STEP_BLOCKS:
            # Announced again and again, it is logged once.
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
        """Let the head count that the chain has, as its node confirms it."""
        try:
            block = await self._chain.latest_block(timeout_s=self._chain_timeout_s)
        except FailureError as error:
            logger.info("The chain's head is not known: %s", error)
            self._mark_lost()
        else:
            self._verified = block.number
            self._verified_at_s = asyncio.get_running_loop().time()
            self._on_head(block.number)

    def _on_head(self, head: BlockNumber) -> None:
        # A lower head counts too: the numbers that were handed on stay handed on, but a chain
        # that went back must not be taken to be further than it is.
        if head != self.newest:
            self.is_live = True
        self.newest = head
        self._observe_head(head)
        self._notify()

    def _mark_lost(self) -> None:
        # A head that only stays the same after this is no sign of life: the node may be stuck.
        self.is_live = False
        self._notify()

    def _notify(self) -> None:
        told, self._changed = self._changed, asyncio.Event()
        told.set()
