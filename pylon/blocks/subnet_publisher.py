"""Publishes the neurons of one tracked subnet: one read per block, in order."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from pylon.chain.chain_guard import may_succeed_later
from pylon.events.event_types import neurons_event
from pylon_client.contract.failures import FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.events.stored_events import FeedEvent
from pylon_client.exponential_backoff import Backoff

logger = logging.getLogger(__name__)

MAX_QUEUED_BLOCKS: Final = EVENTS.max_msgs_per_subject
"""Maximum number of queued blocks: the stream stores as many snapshots of a subnet."""
FETCH_RETRY_TIMEOUT_S: Final = 12.0
"""Seconds for which a failing read is retried while later blocks wait: one block time."""


class SubnetPublisher:
    """Publishes one subnet's neurons at each block, independently of other subnets.

    A failing read is retried for one block time, or longer while no later block is queued. Then the
    block is skipped with a warning. While the chain is down it has no new blocks, so that nothing
    is skipped.

    Attributes:
        netuid: the subnet.
        published_snapshots: number of snapshots that the stream stored.
        skipped_snapshots: number of blocks without a snapshot.
    """

    def __init__(
        self,
        netuid: NetUid,
        *,
        fetch: Callable[[NetUid, Block], Awaitable[tuple[Block, bytes]]],
        publish: Callable[[FeedEvent], Awaitable[None]],
        retry_timeout_s: float = FETCH_RETRY_TIMEOUT_S,
        on_skipped: Callable[[NetUid, int], None] = lambda _netuid, _blocks: None,
    ) -> None:
        """Initialise the publisher; `run` starts it.

        Args:
            netuid: the subnet.
            fetch: returns the encoded neurons at a block, and the block at which they were read,
                which a reorg may have replaced; raises FailureError.
            publish: stores an event, and retries until it is stored.
            retry_timeout_s: seconds for which a failing read is retried while later blocks wait.
            on_skipped: receives the subnet and the number of skipped blocks.
        """
        self.netuid = netuid
        self.published_snapshots = 0
        self.skipped_snapshots = 0
        self._fetch = fetch
        self._publish = publish
        self._retry_timeout_s = retry_timeout_s
        self._on_skipped = on_skipped
        self._queue: deque[Block] = deque()
        self._queue_filled = asyncio.Event()
        self._last_queued: BlockNumber | None = None
        self._failing = False

    def resume_after(self, last: BlockNumber) -> None:
        """Ignore blocks up to `last`, whose snapshots are stored."""
        self._last_queued = last

    def enqueue(self, block: Block) -> None:
        """Queue a block; if the queue is full, the oldest queued block is skipped.

        Blocks between the last queued one and this one are skipped as well: the publisher was too
        far behind the chain.
        """
        if self._last_queued is not None:
            if block.number <= self._last_queued:
                return
            self._skip_between(self._last_queued + 1, block.number - 1)
        self._last_queued = block.number
        if len(self._queue) == MAX_QUEUED_BLOCKS:
            self._skip(self._queue.popleft(), "the queue is full")
        self._queue.append(block)
        self._queue_filled.set()

    async def run(self) -> None:
        """Publish the queued blocks until cancelled."""
        while True:
            await self._queue_filled.wait()
            while self._queue:
                snapshot = await self._fetch_with_retries(self._queue.popleft())
                if snapshot is not None:
                    await self._publish(neurons_event(self.netuid, *snapshot))
                    self.published_snapshots += 1
            self._queue_filled.clear()

    async def _fetch_with_retries(self, block: Block) -> tuple[Block, bytes] | None:
        clock_s = asyncio.get_running_loop().time
        give_up_at_s = clock_s() + self._retry_timeout_s
        pauses = Backoff(initial_s=0.2, max_s=2.0)
        while True:
            try:
                snapshot = await self._fetch(self.netuid, block)
            except FailureError as error:
                if not may_succeed_later(error) or (self._queue and clock_s() > give_up_at_s):
                    self._skip(block, str(error))
                    return None
            else:
                self._failing = False
                return snapshot
            await pauses.wait()

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

    def _skip(self, block: Block, reason: str) -> None:
        self.skipped_snapshots += 1
        self._on_skipped(self.netuid, 1)
        # A subnet that fails repeatedly is logged once, not once per block.
        level = logging.DEBUG if self._failing else logging.WARNING
        self._failing = True
        logger.log(
            level,
            "Subnet %d: no snapshot at block %d (%d skipped so far): %s",
            self.netuid,
            block.number,
            self.skipped_snapshots,
            reason,
        )
