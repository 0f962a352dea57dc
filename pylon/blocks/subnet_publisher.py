"""One tracked subnet's snapshots: fetched once per block and published in order."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from pylon.chain.chain_guard import may_succeed_later
from pylon.common.backoff import Backoff
from pylon.events.event_types import neurons_event
from pylon_client.contract.failures import FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.events.stored_events import FeedEvent

logger = logging.getLogger(__name__)

MAX_QUEUED_BLOCKS: Final = EVENTS.max_msgs_per_subject
"""Older snapshots than this would not be kept by the stream either."""
FETCH_RETRY_TIMEOUT_S: Final = 12.0
"""A block's time: for so long a failing fetch may hold up the blocks behind it."""


class SubnetPublisher:
    """Publishes one subnet's neurons block by block, apart from all other subnets.

    A block whose neurons cannot be read is tried again until the block's time is over and the
    next one waits; then it is skipped, with a warning. While the chain is down no next block
    comes, so nothing is skipped.

    Attributes:
        netuid: of which subnet.
        published_snapshots: snapshots that the stream took.
        skipped_snapshots: blocks without a snapshot.
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
        """Make a lane.

        Args:
            netuid: of which subnet.
            fetch: the encoded neurons at a block, and the block of that number that they are
                really of; raises FailureError.
            publish: returns once the event is stored, however long that takes.
            retry_timeout_s: for how long a failing fetch may hold up the blocks behind it.
            on_skipped: receives the subnet and how many blocks get no snapshot.
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
        """Take no block up to `last`: its snapshot is in the stream already."""
        self._last_queued = last

    def enqueue(self, block: Block) -> None:
        """Queue a block; past the bound, the oldest one that waits is skipped.

        The blocks between the last one and this one get no snapshot: the publisher was too far
        behind the chain.
        """
        if self._last_queued is not None:
            if block.number <= self._last_queued:
                return
            self._skip_between(self._last_queued + 1, block.number - 1)
        self._last_queued = block.number
        if len(self._queue) == MAX_QUEUED_BLOCKS:
            self._skip(self._queue.popleft(), "the lane is full")
        self._queue.append(block)
        self._queue_filled.set()

    async def run(self) -> None:
        """Publish what is offered, until cancelled."""
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
        # A subnet that keeps failing is told of once, not once per block.
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
