"""Publishes each block, with the workers that publish its subnets."""

import logging
from collections.abc import Callable, Iterable
from typing import Final

from pylon.blocks.publish_progress import PublishProgress
from pylon.blocks.publish_retries import retry_stream_request
from pylon.chain.chain_guard import may_succeed_later
from pylon.chain.port import ChainReads, read_block_info
from pylon.events.event_types import EventSink, block_event
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, BlockInfo
from pylon_client.contract.subjects import BlockEventSubject
from pylon_client.contract.types import BlockHash, BlockNumber, PublisherId
from pylon_client.exponential_backoff import Backoff
from pylon_client.log_limit import LogLimit

logger = logging.getLogger(__name__)

MAX_PERMANENT_ERRORS: Final = 3
"""Number of permanent errors of reads of a block after which it is skipped."""


class BlockPublisher:
    """Publishes each block once and in order.

    `publish` returns after the block's event is stored. While NATS or the chain is down, it waits.

    Attributes:
        published_blocks: number of blocks that the stream stored.
        skipped_blocks: number of blocks that no configured node could read.
    """

    def __init__(
        self,
        chain: ChainReads,
        sink: EventSink,
        *,
        chain_timeout_s: float,
        publishers: Callable[[], Iterable[PublisherId]] = lambda: (),
        last_received: Callable[[str], Block | None] = lambda _: None,
        is_reorged_out: Callable[[BlockNumber], bool] = lambda _: False,
        progress: PublishProgress | None = None,
        on_published: Callable[[BlockNumber], None] = lambda _: None,
        on_skipped: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Initialise the publisher.

        Args:
            chain: the chain from which blocks are read.
            sink: stores the events.
            chain_timeout_s: timeout of one read, in seconds.
            publishers: returns the workers that publish the next block's subnets.
            last_received: returns the block of the newest event of a subject that this worker has
                received; publishing continues there if the stream was created again.
            is_reorged_out: returns whether a reorg has removed an announced block, which is then
                dropped instead of awaited.
            progress: records that the publisher makes progress, or waits for NATS.
            on_published: receives the number of each stored block.
            on_skipped: receives the number of blocks that are skipped.
        """
        self.published_blocks = 0
        self.skipped_blocks = 0
        self._chain = chain
        self._sink = sink
        self._chain_timeout_s = chain_timeout_s
        self._publishers = publishers
        self._last_received = last_received
        self._is_reorged_out = is_reorged_out
        self._progress = progress or PublishProgress()
        self._on_published = on_published
        self._on_skipped = on_skipped
        self._log_limit = LogLimit()

    async def resume(self) -> BlockNumber | None:
        """Return the last published block, after which to continue; None for an empty stream.

        Waits while NATS is down.
        """
        subject = str(BlockEventSubject())
        async for attempt in retry_stream_request("read the event stream", self._progress):
            with attempt:
                last = await self._sink.last_block(subject) or self._last_received(subject)
                return None if last is None else last.number
        raise AssertionError("the attempts end with success or cancellation")

    async def publish(self, number: BlockNumber) -> bool:
        """Publish a block; return after the stream has stored it.

        Args:
            number: the number after the last published one.

        Returns:
            False if a reorg has removed the block, which is not published then.
        """
        read = await self._read_block(number)
        if read is None:
            if self._is_reorged_out(number):
                logger.warning("Not publishing block %d: a reorg removed it", number)
                return False
            self.skipped_blocks += 1
            self._on_skipped(1)
            return True
        info, parent_hash = read
        event = block_event(info, parent_hash, self._publishers())
        async for attempt in retry_stream_request(f"publish block {number}", self._progress):
            with attempt:
                await self._sink.publish(event)
        self._on_published(number)
        self.published_blocks += 1
        return True

    async def _read_block(self, number: BlockNumber) -> tuple[BlockInfo, BlockHash] | None:
        """Return a block and the hash of its parent; None if it is skipped or reorged out."""
        pauses = Backoff(initial_s=0.1, max_s=2.0)
        refusals = 0
        while True:
            try:
                block = await self._chain.block(number, timeout_s=self._chain_timeout_s)
                timeout_s = self._chain_timeout_s
                info = await read_block_info(self._chain, block, timeout_s=timeout_s)
                return info, await self._chain.parent_hash(block, timeout_s=timeout_s)
            except FailureError as error:
                # An announced block that does not exist yet will come, after a reorg or from a node
                # that was restarted and lost its newest blocks.
                if error.code is ErrorCode.NOT_FOUND:
                    if self._is_reorged_out(number):
                        return None
                elif not may_succeed_later(error):
                    refusals += 1
                # Later blocks mostly fail for the same reason.
                is_due = self._log_limit.is_due("unreadable", error.code)
                level = logging.WARNING if is_due else logging.DEBUG
                logger.log(level, "Could not read block %d: %s", number, error)
            if refusals == MAX_PERMANENT_ERRORS:
                if self._log_limit.is_due("skipped"):
                    logger.error(
                        "Block %d is not published (%d skipped so far)",
                        number,
                        self.skipped_blocks + 1,
                    )
                return None
            await pauses.wait()
