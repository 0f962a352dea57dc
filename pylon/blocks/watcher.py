"""Hands on every block number once, in order, without a gap."""

import logging
from collections.abc import Callable
from typing import Final, Protocol

from pylon.blocks.head_tracker import Heads
from pylon.blocks.publish_progress import Progress
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

    async def __call__(self, number: BlockNumber, *, with_neurons: bool) -> bool:
        """Take a block; `with_neurons` says whether its snapshots are still worth having.

        Returns:
            False where the chain has gone back behind the block.
        """
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
    """Hands on every block that the chain has, from the one after the last published.

    Attributes:
        left_out: missed blocks that were too many to publish.
    """

    def __init__(
        self,
        heads: Heads,
        sink: Sink,
        *,
        progress: Progress | None = None,
        on_left_out: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Make a watcher.

        Args:
            heads: the chain's head; somebody else runs it.
            sink: takes each block.
            progress: records whether blocks are due.
            on_left_out: receives how many missed blocks are not published.
        """
        self.left_out = 0
        self._progress = progress or Progress()
        self._on_left_out = on_left_out
        self._heads = heads
        self._sink = sink
        self._last: BlockNumber | None = None
        self._is_behind = False

    async def run(self, last: BlockNumber | None) -> None:
        """Hand on every block after `last`, until cancelled."""
        self._last = last
        while True:
            news = self._heads.news
            while (head := self._heads.newest) is not None and (
                missed := missed_blocks(self._last, head)
            ):
                self._progress.due()
                number = BlockNumber(missed.start)
                if self._last is not None and number > self._last + 1:
                    self._leave_out(range(self._last + 1, number))
                with_neurons = head - number < NEURONS_BACKFILL_MAX_BLOCKS
                if not await self._sink(number, with_neurons=with_neurons):
                    break
                self._last = number
                self._progress.published()
            self._progress.idle()
            self._compare()
            await news.wait()

    def _leave_out(self, numbers: range) -> None:
        self.left_out += len(numbers)
        self._on_left_out(len(numbers))
        logger.error(
            "Blocks %d to %d (%d) are not published: more than %d behind the chain",
            numbers[0],
            numbers[-1],
            len(numbers),
            BACKFILL_MAX_BLOCKS,
        )
        # Counted once, also where the block after them is not published.
        self._last = BlockNumber(numbers[-1])

    def _compare(self) -> None:
        head = self._heads.newest
        if self._last is None or head is None:
            return
        is_behind = self._last - head > REORGANISATION_MAX_BLOCKS
        if is_behind and not self._is_behind:
            logger.error(
                "The chain is at block %d, but block %d was published: nothing is published until "
                "then. If the chain was started over, stop all workers and set its state aside "
                "with `pylon reset`.",
                head,
                self._last,
            )
        self._is_behind = is_behind
