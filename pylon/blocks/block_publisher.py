"""Publishes each block, and the neurons of every tracked subnet at it."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from pylon.blocks.publish_progress import PublishProgress
from pylon.blocks.publish_retries import retry_stream_request
from pylon.blocks.subnet_publisher import MAX_QUEUED_BLOCKS, SubnetPublisher
from pylon.chain.chain_guard import may_succeed_later
from pylon.chain.chain_reader import ChainReader
from pylon.chain.port import ChainReads, read_block_info
from pylon.chain.queries.neuron_queries import Neurons
from pylon.events.event_types import EventSink, block_event
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, BlockInfo
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockHash, BlockNumber, NetUid
from pylon_client.exponential_backoff import Backoff
from pylon_client.log_limit import LogLimit

logger = logging.getLogger(__name__)

MAX_PERMANENT_ERRORS: Final = 3
"""Number of permanent errors of reads of a block after which it is skipped."""


class BlockPublisher:
    """Publishes each block once and in order, and the neurons of tracked subnets at it.

    `publish` returns after the block's event is stored; each subnet's neurons follow independently.
    While NATS or the chain is down, `publish` waits.

    Attributes:
        published_blocks: number of blocks that the stream stored.
        skipped_blocks: number of blocks that no configured node could read.
        subnet_publishers: the publishers of the tracked subnets.
    """

    def __init__(
        self,
        chain: ChainReads,
        reader: ChainReader,
        sink: EventSink,
        netuids: Iterable[NetUid],
        *,
        chain_timeout_s: float,
        last_received: Callable[[str], Block | None] = lambda _: None,
        is_reorged_out: Callable[[BlockNumber], bool] = lambda _: False,
        progress: PublishProgress | None = None,
        on_published: Callable[[BlockNumber], None] = lambda _: None,
        on_skipped: Callable[[int], None] = lambda _: None,
        on_skipped_neurons: Callable[[NetUid, int], None] = lambda _netuid, _blocks: None,
    ) -> None:
        """Initialise the publisher.

        Args:
            chain: the chain from which blocks are read.
            reader: reads neurons.
            sink: stores the events.
            netuids: the tracked subnets.
            chain_timeout_s: timeout of one read, in seconds.
            last_received: returns the block of the newest event of a subject that this worker has
                received; publishing continues there if the stream was created again.
            is_reorged_out: returns whether a reorg has removed an announced block, which is then
                dropped instead of awaited.
            progress: records that the publisher makes progress, or waits for NATS.
            on_published: receives the number of each stored block.
            on_skipped: receives the number of blocks that are skipped.
            on_skipped_neurons: receives a subnet and its number of skipped snapshots.
        """
        self.published_blocks = 0
        self.skipped_blocks = 0
        self._chain = chain
        self._reader = reader
        self._sink = sink
        self._chain_timeout_s = chain_timeout_s
        self._last_received = last_received
        self._is_reorged_out = is_reorged_out
        self._progress = progress or PublishProgress()
        self._on_published = on_published
        self._on_skipped = on_skipped
        self._log_limit = LogLimit()
        self.subnet_publishers = [
            SubnetPublisher(
                netuid,
                fetch=self._fetch_neurons,
                publish=sink.publish,
                progress=self._progress,
                on_skipped=on_skipped_neurons,
            )
            for netuid in netuids
        ]

    async def resume(self) -> BlockNumber | None:
        """Return the last published block, after which to continue; None for an empty stream.

        Missing snapshots up to that block are queued again, unless the stream would drop them.
        Waits while NATS or the chain is down.
        """
        last = await self._last_published_block(str(BlockEventSubject()))
        if last is None:
            return None
        oldest = last.number
        for subnet in self.subnet_publishers:
            snapshot = await self._last_published_block(str(NeuronsEventSubject(subnet.netuid)))
            if snapshot is not None:
                subnet.resume_after(snapshot.number)
                oldest = min(oldest, snapshot.number + 1)
            else:
                subnet.resume_after(BlockNumber(last.number - 1))
        oldest = max(oldest, last.number - MAX_QUEUED_BLOCKS + 1)
        for number in range(oldest, last.number + 1):
            read = await self._read_block(BlockNumber(number))
            self._progress.mark_active()
            if read is not None:
                self._enqueue_neurons(read[0])
        return last.number

    async def publish(self, number: BlockNumber, *, with_neurons: bool) -> bool:
        """Publish a block and queue its neurons; return after the stream has stored the block.

        Args:
            number: the number after the last published one.
            with_neurons: whether to publish the neurons of tracked subnets as well.

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
        event = block_event(info, parent_hash)
        async for attempt in retry_stream_request(self._progress, f"publish block {number}"):
            with attempt:
                await self._sink.publish(event)
        self._on_published(number)
        self.published_blocks += 1
        if with_neurons:
            self._enqueue_neurons(info)
        return True

    async def run(self) -> None:
        """Publish the neurons at the published blocks, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for subnet in self.subnet_publishers:
                group.create_task(subnet.run(), name=f"snapshots of subnet {subnet.netuid}")

    def _enqueue_neurons(self, info: BlockInfo) -> None:
        for subnet in self.subnet_publishers:
            subnet.enqueue(Block(number=info.number, hash=info.hash))

    async def _fetch_neurons(self, netuid: NetUid, block: Block) -> tuple[Block, bytes]:
        try:
            return block, await self._reader.query(Neurons(netuid), block)
        except FailureError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            # Either the subnet does not exist, or a reorg has removed the block.
            current = await self._chain.block(block.number, timeout_s=self._chain_timeout_s)
            if current == block:
                raise
        return current, await self._reader.query(Neurons(netuid), current)

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

    async def _last_published_block(self, subject: str) -> Block | None:
        async for attempt in retry_stream_request(self._progress, "read the event stream"):
            with attempt:
                return await self._sink.last_block(subject) or self._last_received(subject)
        raise AssertionError("the attempts end with success or cancellation")
