"""Publishes the neurons of one tracked subnet: one read per block, in order."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from pylon.blocks.neurons_event_publisher import NeuronsEventPublisher
from pylon.blocks.publish_retries import retry_stream_request
from pylon.chain.chain_guard import may_succeed_later
from pylon.events.event_types import EventSink, neurons_event
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import NeuronsEventSubject
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.exponential_backoff import Backoff

logger = logging.getLogger(__name__)

MAX_QUEUED_BLOCKS: Final = EVENTS.max_msgs_per_subject
"""Maximum number of queued blocks: the stream stores as many snapshots of a subnet."""
FETCH_RETRY_TIMEOUT_S: Final = 12.0
"""Seconds for which a failing read is retried while later blocks wait: one block time."""

_NO_BLOCK: Final = BlockNumber(-1)


@dataclass(frozen=True, slots=True)
class _QueuedBlock:
    """A block to publish.

    Attributes:
        block: the block.
        is_takeover: whether missing snapshots before it are published first.
    """

    block: Block
    is_takeover: bool = False


class SubnetPublisher:
    """Publishes one subnet's neurons at each block, independently of other subnets.

    A failing read is retried for one block time, or longer while no later block is queued. Then the
    block is skipped with a warning. While the chain is down it has no new blocks, so that nothing
    is skipped.

    Attributes:
        netuid: the subnet.
        published_snapshots: number of snapshots that the stream stored.
        skipped_snapshots: number of blocks without a snapshot.
        is_idle: whether no block is queued or in progress.
    """

    def __init__(
        self,
        netuid: NetUid,
        *,
        fetch: Callable[[NetUid, Block], Awaitable[tuple[Block, bytes]]],
        block_at: Callable[[BlockNumber], Awaitable[Block]],
        sink: EventSink,
        last_received: Callable[[str], Block | None] = lambda _: None,
        retry_timeout_s: float = FETCH_RETRY_TIMEOUT_S,
        on_progress: Callable[[], None] = lambda: None,
        on_skipped: Callable[[NetUid, int], None] = lambda _netuid, _blocks: None,
    ) -> None:
        """Initialise the publisher; `run` starts it.

        Args:
            netuid: the subnet.
            fetch: returns the encoded neurons at a block, and the block at which they were read,
                which a reorg may have replaced; raises FailureError.
            block_at: returns the block of a number; raises FailureError.
            sink: stores the events.
            last_received: returns the block of the newest event of a subject that this worker has
                received; publishing continues there if the stream was created again.
            retry_timeout_s: seconds for which a failing read is retried while later blocks wait.
            on_progress: called when a snapshot is stored, or the subnet does not exist.
            on_skipped: receives the subnet and the number of skipped blocks.
        """
        self.netuid = netuid
        self.published_snapshots = 0
        self.skipped_snapshots = 0
        self.is_idle = True
        self._fetch = fetch
        self._block_at = block_at
        self._sink = sink
        self._neurons_events = NeuronsEventPublisher(netuid, sink)
        self._last_received = last_received
        self._retry_timeout_s = retry_timeout_s
        self._on_progress = on_progress
        self._on_skipped = on_skipped
        self._queue: deque[_QueuedBlock] = deque()
        self._queue_filled = asyncio.Event()
        self._last_queued = _NO_BLOCK
        self._last_stored = _NO_BLOCK
        self._last_dropped = _NO_BLOCK
        self._failing = False

    def enqueue(self, block: Block) -> None:
        """Queue a block; if the queue is full, the oldest queued block is skipped.

        Blocks between the last queued one and this one are skipped as well: the publisher was too
        far behind the chain.
        """
        if block.number <= self._last_queued:
            return
        if self._last_queued != _NO_BLOCK:
            self._skip_between(self._last_queued + 1, block.number - 1)
        self._append(_QueuedBlock(block))

    def take_over(self, block: Block) -> None:
        """Queue a block and the blocks before it without a stored snapshot.

        They are at most as many as the stream stores. If the subnet has no snapshot yet, only the
        block is published.
        """
        self._last_dropped = _NO_BLOCK
        self._append(_QueuedBlock(block, is_takeover=True))

    def drop(self) -> None:
        """Drop the queued blocks, and the one in progress before its next attempt."""
        self._queue.clear()
        self._last_dropped = self._last_queued

    async def run(self) -> None:
        """Publish the queued blocks until cancelled."""
        while True:
            await self._queue_filled.wait()
            while self._queue:
                queued = self._queue.popleft()
                if queued.is_takeover:
                    await self._publish_missed(queued.block)
                await self._publish_at(queued.block.number, queued.block)
            self._queue_filled.clear()
            self.is_idle = True

    def _append(self, queued: _QueuedBlock) -> None:
        self._last_queued = queued.block.number
        if len(self._queue) == MAX_QUEUED_BLOCKS:
            oldest = self._queue.popleft()
            self._skip(oldest.block.number, "the queue is full")
            if oldest.is_takeover and self._queue:
                self._queue[0] = replace(self._queue[0], is_takeover=True)
        self._queue.append(queued)
        self.is_idle = False
        self._queue_filled.set()

    async def _publish_missed(self, block: Block) -> None:
        self._neurons_events.resume()
        self._last_stored = await self._read_last_stored()
        if self._last_stored == _NO_BLOCK:
            return
        oldest = max(self._last_stored + 1, block.number - MAX_QUEUED_BLOCKS + 1)
        for number in range(oldest, block.number):
            await self._publish_at(BlockNumber(number), None)

    async def _read_last_stored(self) -> BlockNumber:
        subject = str(NeuronsEventSubject(self.netuid))
        async for attempt in retry_stream_request("read the event stream"):
            with attempt:
                last = await self._sink.last_block(subject) or self._last_received(subject)
                return _NO_BLOCK if last is None else last.number
        raise AssertionError("the attempts end with success or cancellation")

    async def _publish_at(self, number: BlockNumber, block: Block | None) -> None:
        if number <= self._last_stored:
            return
        snapshot = await self._fetch_with_retries(number, block)
        if snapshot is None:
            return
        event = neurons_event(self.netuid, *snapshot)
        async for attempt in retry_stream_request(f"publish block {number}"):
            with attempt:
                await self._neurons_events.publish(event)
        self.published_snapshots += 1
        self._on_progress()

    async def _fetch_with_retries(
        self, number: BlockNumber, block: Block | None
    ) -> tuple[Block, bytes] | None:
        clock_s = asyncio.get_running_loop().time
        give_up_at_s = clock_s() + self._retry_timeout_s
        pauses = Backoff(initial_s=0.2, max_s=2.0)
        while number > self._last_dropped:
            try:
                snapshot = await self._fetch(self.netuid, block or await self._block_at(number))
            except FailureError as error:
                if not may_succeed_later(error) or (self._queue and clock_s() > give_up_at_s):
                    self._skip(number, str(error))
                    if error.code is ErrorCode.NOT_FOUND:
                        self._on_progress()
                    return None
            else:
                self._failing = False
                return snapshot
            await pauses.wait()
        return None

    def _skip_between(self, first: int, last: int) -> None:
        count = last - first + 1
        if count == 0:
            return
        self.skipped_snapshots += count
        self._on_skipped(self.netuid, count)
        logger.warning(
            "Subnet %d: no snapshots at blocks %d to %d (%d skipped so far): too far behind",
            self.netuid,
            first,
            last,
            self.skipped_snapshots,
        )

    def _skip(self, number: BlockNumber, reason: str) -> None:
        self.skipped_snapshots += 1
        self._on_skipped(self.netuid, 1)
        # A subnet that fails repeatedly is logged once, not once per block.
        level = logging.DEBUG if self._failing else logging.WARNING
        self._failing = True
        logger.log(
            level,
            "Subnet %d: no snapshot at block %d (%d skipped so far): %s",
            self.netuid,
            number,
            self.skipped_snapshots,
            reason,
        )
