"""One tracked subnet's snapshots: fetched once per block and published in order."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from pylon.chain.chain_guard import may_pass
from pylon.common.backoff import Pauses
from pylon.events.event_types import Event, neurons_event
from pylon_client.contract.failures import FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockNumber, NetUid

logger = logging.getLogger(__name__)

WAITING_MAX_BLOCKS: Final = EVENTS.max_msgs_per_subject
"""Older snapshots than this would not be kept by the stream either."""
PATIENCE_S: Final = 12.0
"""A block's time: for so long a failing fetch may hold up the blocks behind it."""


class SubnetLane:
    """Publishes one subnet's neurons block by block, apart from all other subnets.

    A block whose neurons cannot be read is tried again until the block's time is over and the
    next one waits; then it is skipped, with a warning. While the chain is down no next block
    comes, so nothing is skipped.

    Attributes:
        netuid: of which subnet.
        published: snapshots that the stream took.
        skipped: blocks without a snapshot.
    """

    def __init__(
        self,
        netuid: NetUid,
        *,
        fetch: Callable[[NetUid, Block], Awaitable[tuple[Block, bytes]]],
        send: Callable[[Event], Awaitable[None]],
        patience_s: float = PATIENCE_S,
        on_skipped: Callable[[NetUid, int], None] = lambda _netuid, _blocks: None,
    ) -> None:
        """Make a lane.

        Args:
            netuid: of which subnet.
            fetch: the encoded neurons at a block, and the block of that number that they are
                really of; raises FailureError.
            send: returns once the event is stored, however long that takes.
            patience_s: for how long a failing fetch may hold up the blocks behind it.
            on_skipped: receives the subnet and how many blocks get no snapshot.
        """
        self.netuid = netuid
        self.published = 0
        self.skipped = 0
        self._fetch = fetch
        self._send = send
        self._patience_s = patience_s
        self._on_skipped = on_skipped
        self._waiting: deque[Block] = deque()
        self._offered = asyncio.Event()
        self._last: BlockNumber | None = None
        self._failing = False

    def resume_after(self, last: BlockNumber) -> None:
        """Take no block up to `last`: its snapshot is in the stream already."""
        self._last = last

    def offer(self, block: Block) -> None:
        """Queue a block; past the bound, the oldest one that waits is skipped.

        The blocks between the last one and this one get no snapshot: the publisher was too far
        behind the chain.
        """
        if self._last is not None:
            if block.number <= self._last:
                return
            self._skip_between(self._last + 1, block.number - 1)
        self._last = block.number
        if len(self._waiting) == WAITING_MAX_BLOCKS:
            self._skip(self._waiting.popleft(), "the lane is full")
        self._waiting.append(block)
        self._offered.set()

    async def run(self) -> None:
        """Publish what is offered, until cancelled."""
        while True:
            await self._offered.wait()
            while self._waiting:
                snapshot = await self._read(self._waiting.popleft())
                if snapshot is not None:
                    await self._send(neurons_event(self.netuid, *snapshot))
                    self.published += 1
            self._offered.clear()

    async def _read(self, block: Block) -> tuple[Block, bytes] | None:
        clock_s = asyncio.get_running_loop().time
        give_up_at_s = clock_s() + self._patience_s
        pauses = Pauses(first_s=0.2, longest_s=2.0)
        while True:
            try:
                snapshot = await self._fetch(self.netuid, block)
            except FailureError as error:
                if not may_pass(error) or (self._waiting and clock_s() > give_up_at_s):
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
        self.skipped += count
        self._on_skipped(self.netuid, count)
        logger.warning(
            "Subnet %d: no snapshots at blocks %d to %d (%d skipped so far): too far behind",
            self.netuid,
            first,
            last,
            self.skipped,
        )

    def _skip(self, block: Block, why: str) -> None:
        self.skipped += 1
        self._on_skipped(self.netuid, 1)
        # A subnet that keeps failing is told of once, not once per block.
        level = logging.DEBUG if self._failing else logging.WARNING
        self._failing = True
        logger.log(
            level,
            "Subnet %d: no snapshot at block %d (%d skipped so far): %s",
            self.netuid,
            block.number,
            self.skipped,
            why,
        )
