"""Hands on every block number once, in order, without a gap."""

import logging
from collections.abc import Callable
from typing import Final, Protocol

from pylon.blocks.head_tracker import HeadTracker
from pylon.blocks.publish_progress import PublishProgress
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockNumber

logger = logging.getLogger(__name__)

MAX_BACKFILL_BLOCKS: Final = 300
"""How far back missed blocks are still published: about what an ordinary node can still read."""
MAX_NEURONS_BACKFILL_BLOCKS: Final = EVENTS.max_msgs_per_subject
"""How far back missed blocks still get snapshots: what the event stream keeps of a subject."""
MAX_REORG_BLOCKS: Final = 100
"""A head further than this behind what was published is no reorganisation any more."""


class BlockSink(Protocol):
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
    return range(max(last + 1, head - MAX_BACKFILL_BLOCKS + 1), head + 1)


class BlockWatcher:
    """Hands on every block that the chain has, from the one after the last published.

    Attributes:
        dropped_blocks: missed blocks that were too many to publish.
    """

    def __init__(
        self,
        head_tracker: HeadTracker,
        sink: BlockSink,
        *,
        progress: PublishProgress | None = None,
        on_dropped: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Make a watcher.

        Args:
            head_tracker: the chain's head; somebody else runs it.
            sink: takes each block.
            progress: records whether blocks are due.
            on_dropped: receives how many missed blocks are not published.
        """
        self.dropped_blocks = 0
        self._progress = progress or PublishProgress()
        self._on_dropped = on_dropped
        self._head_tracker = head_tracker
        self._sink = sink
        self._last: BlockNumber | None = None
        self._is_behind = False

    async def run(self, last: BlockNumber | None) -> None:
        """Hand on every block after `last`, until cancelled."""
        self._last = last
        while True:
            news = self._head_tracker.changed
            while (head := self._head_tracker.newest) is not None and (
                missed := missed_blocks(self._last, head)
            ):
                self._progress.mark_due()
                number = BlockNumber(missed.start)
                if self._last is not None and number > self._last + 1:
                    self._drop(range(self._last + 1, number))
                with_neurons = head - number < MAX_NEURONS_BACKFILL_BLOCKS
                if not await self._sink(number, with_neurons=with_neurons):
                    break
                self._last = number
                self._progress.mark_published()
            self._progress.mark_idle()
            self._check_position()
            await news.wait()

    def _drop(self, numbers: range) -> None:
        self.dropped_blocks += len(numbers)
        self._on_dropped(len(numbers))
        logger.error(
            "Blocks %d to %d (%d) are not published: more than %d behind the chain",
            numbers[0],
            numbers[-1],
            len(numbers),
            MAX_BACKFILL_BLOCKS,
        )
        # Counted once, also where the block after them is not published.
        self._last = BlockNumber(numbers[-1])

    def _check_position(self) -> None:
        head = self._head_tracker.newest
        if self._last is None or head is None:
            return
        is_behind = self._last - head > MAX_REORG_BLOCKS
        if is_behind and not self._is_behind:
            logger.error(
                "The chain is at block %d, but block %d was published: nothing is published until "
                "then. If the chain was started over, stop all workers and set its state aside "
                "with `pylon reset`.",
                head,
                self._last,
            )
        self._is_behind = is_behind
