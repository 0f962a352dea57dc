"""Passes every block number to a sink once, in order and without gaps."""

import logging
from collections.abc import Callable
from typing import Final, Protocol

from pylon.blocks.head_tracker import HeadTracker
from pylon.blocks.publish_progress import PublishProgress
from pylon_client.contract.types import BlockNumber

logger = logging.getLogger(__name__)

MAX_BACKFILL_BLOCKS: Final = 300
"""Maximum distance from the head, in blocks, at which missed blocks are published: a node without
an archive keeps about as many states."""
MAX_REORG_BLOCKS: Final = 100
"""Maximum depth of a reorg, in blocks; a lower head belongs to a chain that was restarted."""


class BlockSink(Protocol):
    """Receives each block in order, one at a time."""

    async def __call__(self, number: BlockNumber) -> bool:
        """Process a block; return False if a reorg has removed it."""
        ...


def missed_blocks(last: BlockNumber | None, head: BlockNumber) -> range:
    """Return the numbers after `last` up to the head, without those beyond the backfill limit.

    If nothing was published yet, return the head only. If the head is not newer than `last`, return
    an empty range: a published number is not published again after a reorg.
    """
    if last is None:
        return range(head, head + 1)
    return range(max(last + 1, head - MAX_BACKFILL_BLOCKS + 1), head + 1)


class BlockWatcher:
    """Passes every block of the chain to a sink, starting after the last published block.

    Attributes:
        dropped_blocks: number of missed blocks beyond the backfill limit.
    """

    def __init__(
        self,
        head_tracker: HeadTracker,
        sink: BlockSink,
        *,
        progress: PublishProgress | None = None,
        on_dropped: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Initialise the watcher; `run` starts it.

        Args:
            head_tracker: tracks the chain's head; the caller runs it.
            sink: receives each block.
            progress: records whether blocks are due.
            on_dropped: receives the number of missed blocks that are dropped.
        """
        self.dropped_blocks = 0
        self._progress = progress or PublishProgress()
        self._on_dropped = on_dropped
        self._head_tracker = head_tracker
        self._sink = sink
        self._last: BlockNumber | None = None
        self._is_behind = False

    async def run(self, last: BlockNumber | None) -> None:
        """Pass every block after `last` to the sink, until cancelled."""
        self._last = last
        while True:
            changed = self._head_tracker.changed
            while (head := self._head_tracker.newest) is not None and (
                missed := missed_blocks(self._last, head)
            ):
                self._progress.mark_due()
                number = BlockNumber(missed.start)
                if self._last is not None and number > self._last + 1:
                    self._drop(range(self._last + 1, number))
                if not await self._sink(number):
                    break
                self._last = number
                self._progress.mark_published()
            self._progress.mark_idle()
            self._check_position()
            await changed.wait()

    def _drop(self, numbers: range) -> None:
        self.dropped_blocks += len(numbers)
        self._on_dropped(len(numbers))
        logger.error(
            "Not publishing blocks %d to %d (%d): more than %d behind the head",
            numbers[0],
            numbers[-1],
            len(numbers),
            MAX_BACKFILL_BLOCKS,
        )
        # They are counted once, even if the next block is not published.
        self._last = BlockNumber(numbers[-1])

    def _check_position(self) -> None:
        head = self._head_tracker.newest
        if self._last is None or head is None:
            return
        is_behind = self._last - head > MAX_REORG_BLOCKS
        if is_behind and not self._is_behind:
            logger.error(
                "The chain is at block %d, but block %d was published: publishing continues after "
                "that block. If the chain was restarted, stop all workers and set its state aside "
                "with `pylon reset`.",
                head,
                self._last,
            )
        self._is_behind = is_behind
