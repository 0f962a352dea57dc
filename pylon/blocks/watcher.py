"""Follows the chain's head, and hands on every block number once, in order, without a gap."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, Protocol

from pylon.blocks.pauses import Pauses
from pylon.chain.port import Chain
from pylon_client.contract.failures import FailureError
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockNumber

logger = logging.getLogger(__name__)

BACKFILL_MAX_BLOCKS: Final = 300
"""How far back missed blocks are still published: about what an ordinary node can still read."""
NEURONS_BACKFILL_MAX_BLOCKS: Final = EVENTS.max_msgs_per_subject
"""How far back missed blocks still get snapshots: what the event stream keeps of a subject."""
REORGANISATION_MAX_BLOCKS: Final = 100
"""A head further than this behind what was published is no reorganisation any more."""


class Sink(Protocol):
    """Takes each block, in order; the next one comes when it has returned."""

    async def __call__(self, number: BlockNumber, *, with_neurons: bool) -> None:
        """Take a block; `with_neurons` says whether its snapshots are still worth having."""
        ...


def missed_blocks(last: BlockNumber | None, head: BlockNumber) -> range:
    """The numbers that come after `last`, up to the head; the oldest are left out past the limit.

    With nothing published yet, that is the head alone. A head that is no news gives none: a
    number that was published is never published again, whatever a reorganisation made of it.
    """
    if last is None:
        return range(head, head + 1)
    return range(max(last + 1, head - BACKFILL_MAX_BLOCKS + 1), head + 1)


class Watcher:
    """Follows the head by subscription, and by polling while the subscription is silent.

    Attributes:
        head: the newest head that was heard of.
        subscriptions: how often the new heads were subscribed to.
        polls: how often the head was asked for because the subscription was silent.
        left_out: missed blocks that were too many to publish.
    """

    def __init__(
        self,
        chain: Chain,
        sink: Sink,
        *,
        heard_of: Callable[[BlockNumber], None] = lambda _: None,
        silence_s: float,
        poll_after_s: float = 12.0,
        chain_timeout_s: float = 30.0,
    ) -> None:
        """Make a watcher.

        Args:
            chain: what to follow.
            sink: takes each block.
            heard_of: told of each head as soon as it is known.
            silence_s: after this long without a head, the subscription is given up.
            poll_after_s: after this long without a head, it is asked for.
            chain_timeout_s: how long one question may take.
        """
        self.head: BlockNumber | None = None
        self.subscriptions = 0
        self.polls = 0
        self.left_out = 0
        self._chain = chain
        self._sink = sink
        self._heard_of = heard_of
        self._silence_s = silence_s
        self._poll_after_s = min(poll_after_s, silence_s)
        self._chain_timeout_s = chain_timeout_s
        self._news = asyncio.Event()
        self._last: BlockNumber | None = None
        self._is_behind = False

    async def run(self, last: BlockNumber | None) -> None:
        """Hand on every block after `last`, until cancelled."""
        self._last = last
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="new heads")
            group.create_task(self._poll(), name="polls of the head")
            group.create_task(self._hand_on(), name="blocks in order")

    async def _hand_on(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self.head is not None and (missed := missed_blocks(self._last, self.head)):
                number = BlockNumber(missed.start)
                if self._last is not None and number > self._last + 1:
                    self._leave_out(range(self._last + 1, number))
                with_neurons = self.head - number < NEURONS_BACKFILL_MAX_BLOCKS
                await self._sink(number, with_neurons=with_neurons)
                self._last = number

    def _leave_out(self, numbers: range) -> None:
        self.left_out += len(numbers)
        logger.error("Blocks %d to %d were missed: too many", numbers[0], numbers[-1])

    async def _follow(self) -> None:
        pauses = Pauses(first_s=0.2, longest_s=5.0)
        while True:
            await self._ask()
            self.subscriptions += 1
            try:
                async with aclosing(self._chain.heads(silence_s=self._silence_s)) as heads:
                    async for head in heads:
                        pauses.reset()
                        self._hear(head)
            except FailureError as error:
                logger.log(pauses.log_level, "New blocks are not announced any more: %s", error)
            await pauses.wait()

    async def _poll(self) -> None:
        while True:
            heard = self.head
            await asyncio.sleep(self._poll_after_s)
            if self.head == heard:
                self.polls += 1
                await self._ask()

    async def _ask(self) -> None:
        try:
            block = await self._chain.latest_block(timeout_s=self._chain_timeout_s)
        except FailureError as error:
            logger.info("The chain's head is not known: %s", error)
        else:
            self._hear(block.number)

    def _hear(self, head: BlockNumber) -> None:
        # A lower head counts too: the numbers that were handed on stay handed on, but a chain
        # that went back must not be taken to be further than it is.
        self.head = head
        self._heard_of(head)
        self._compare(head)
        self._news.set()

    def _compare(self, head: BlockNumber) -> None:
        if self._last is None:
            return
        is_behind = self._last - head > REORGANISATION_MAX_BLOCKS
        if is_behind and not self._is_behind:
            logger.error(
                "The chain is at block %d, but block %d was published: nothing is published until "
                "then. If this is another chain, purge the stream %s.",
                head,
                self._last,
                EVENTS.name,
            )
        self._is_behind = is_behind
