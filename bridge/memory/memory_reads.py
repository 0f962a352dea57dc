"""Reads of the newest and of the last blocks from the bridge's memory."""

import time
from collections.abc import Callable
from typing import Final

from bridge.memory.linked_blocks import LinkedBlocks
from bridge.memory.memory_reply import MemoryReply
from bridge.memory.subnet_snapshots import SubnetSnapshots
from pylon.common.freshness import MAX_LAG_BLOCKS, age_blocks, is_near_head
from pylon_client.contract.reads import (
    LATEST_BLOCK,
    LATEST_NEURONS,
    LATEST_VALIDATORS,
    NEURONS_AT,
    RECENT_NEURONS,
    VALIDATORS_AT,
)
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.events.stored_events import FeedEvent

__all__ = ["MemoryReads", "MemoryReply"]

_LATEST_OF_SUBNETS: Final = frozenset(
    {LATEST_NEURONS.name, LATEST_VALIDATORS.name, RECENT_NEURONS.name}
)
_OF_VALIDATORS: Final = frozenset({LATEST_VALIDATORS.name, VALIDATORS_AT.name})
_AT_BLOCK: Final = frozenset({NEURONS_AT.name, VALIDATORS_AT.name})
_NEVER_S: Final = float("-inf")


class MemoryReads:
    """Replies to reads from published events, as long as they are known to be fresh.

    The rule is that of workers (`pylon.common.freshness`). The bridge knows the head of the chain
    only from the events of blocks. An event therefore proves something about the head for a limited
    time: as long as its publisher says, and at most for the time of `MAX_LAG_BLOCKS` blocks.
    Events that were stored prove nothing, neither do events of unknown age.

    Snapshots are served only at blocks that are linked to the newest one by parent hashes, so that
    no block that a reorg has removed is served.

    Args:
        block_duration_s: the chain's block time, in seconds.
        recent_limit_blocks: maximum age of recent neurons.
        is_connected: returns whether there is a connection to NATS.
        clock_s: monotonic time, in seconds.
    """

    def __init__(
        self,
        *,
        block_duration_s: float,
        recent_limit_blocks: int,
        is_connected: Callable[[], bool],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._block_duration_s = block_duration_s
        self._recent_limit_blocks = recent_limit_blocks
        self._is_connected = is_connected
        self._clock_s = clock_s
        self._blocks = LinkedBlocks()
        self._snapshots = SubnetSnapshots()
        # Found since the last event of a block: only events change which replies are the newest.
        self._served: dict[tuple[str, NetUid | None], MemoryReply] = {}
        # While it is fresh, neither the lag nor the silence exceeds `MAX_LAG_BLOCKS`.
        self._may_exceed_recent_limit = recent_limit_blocks < 2 * MAX_LAG_BLOCKS
        self._newest_block: MemoryReply | None = None
        self._genesis: str | None = None
        self._last_stored: BlockNumber | None = None
        self._head = BlockNumber(-1)
        self._head_at_s = self._fresh_until_s = _NEVER_S

    @property
    def is_fresh(self) -> bool:
        """Return whether the newest block is known to be near the head of the chain."""
        return self._clock_s() < self._fresh_until_s and self._is_connected()

    @property
    def newest_number(self) -> BlockNumber | None:
        """Return the number of the newest block; None without one."""
        return None if self._blocks.newest is None else self._blocks.newest.number

    def find(
        self, operation: str, netuid: NetUid | None, number: BlockNumber | None
    ) -> MemoryReply | None:
        """Return the reply of a read at a block, or of the newest block without a number.

        Returns:
            None if a worker must be asked; see `latest` and `at_block`.
        """
        if number is None:
            return self.latest(operation, netuid)
        return None if netuid is None else self.at_block(operation, netuid, number)

    def latest(self, operation: str, netuid: NetUid | None) -> MemoryReply | None:
        """Return the reply of a read of the newest block.

        The same object is returned until a newer one replaces it.

        Args:
            operation: name of the operation.
            netuid: the subnet; None for a read of the chain.

        Returns:
            None if there is no reply that is fresh by a worker's rule: a worker must be asked.
        """
        if self._clock_s() >= self._fresh_until_s or not self._is_connected():
            return None
        reply = self._served.get((operation, netuid))
        if reply is None:
            reply = self._newest_reply(operation, netuid)
            if reply is not None:
                self._served[operation, netuid] = reply
        if (
            reply is not None
            and self._may_exceed_recent_limit
            and operation == RECENT_NEURONS.name
            and self._is_too_old(reply.block.number)
        ):
            return None
        return reply

    def at_block(self, operation: str, netuid: NetUid, number: BlockNumber) -> MemoryReply | None:
        """Return the reply of a read at a stored block that is still part of the chain.

        Args:
            operation: name of the operation.
            netuid: the subnet.
            number: of the block.

        Returns:
            None if the block is not known to be part of the chain: a worker must be asked.
        """
        if operation not in _AT_BLOCK or not self.is_fresh:
            return None
        reply = self._snapshots.at(netuid, number)
        if reply is None or reply.block not in self._blocks:
            return None
        return self._projected(operation, netuid, reply)

    def observe_block(self, event: FeedEvent, *, sent_after_s: float) -> bool:
        """Take over the event of a block that has just arrived.

        Args:
            event: the event, which was not read from the event log.
            sent_after_s: a time before which it was not sent, by `clock_s`.

        Returns:
            False if the event contradicts what is stored: it is of another chain, or of an older
            block. Nothing is fresh then until `synchronize` is called.
        """
        newest = self._blocks.newest
        if event.block == newest:
            return True  # its publisher repeats it when the acknowledgement was lost
        if (newest is not None and event.block.number < newest.number) or event.genesis != (
            self._genesis if self._genesis is not None else event.genesis
        ):
            self.distrust()
            return False
        self._genesis = event.genesis
        self._snapshots.drop_before(self._blocks.append(event.block, event.parent_hash))
        self._newest_block = MemoryReply(event.block, event.body)
        self._served.clear()
        self._observe_head(event, sent_after_s)
        return True

    def observe_neurons(self, netuid: NetUid, event: FeedEvent) -> None:
        """Take over the event of a subnet's neurons."""
        # An event without a body is too large for one message; workers read its parts.
        if event.body and event.genesis == self._genesis:
            self._snapshots.put(netuid, MemoryReply(event.block, event.body))
            for operation in _LATEST_OF_SUBNETS:
                self._served.pop((operation, netuid), None)

    def distrust(self) -> None:
        """Count nothing as fresh until `synchronize` is called and a newer block has arrived."""
        self._last_stored = None
        self._fresh_until_s = _NEVER_S

    def synchronize(self, stored: FeedEvent | None, newest_before: BlockNumber | None) -> None:
        """Compare what is held with the newest stored block; events of later blocks are new.

        Everything is dropped if the chain or its event stream was started again.

        Args:
            stored: the newest event of a block in the event log.
            newest_before: `newest_number` at the time of that read.
        """
        number = BlockNumber(-1) if stored is None else stored.block.number
        genesis = None if stored is None else stored.genesis
        if genesis != self._genesis or (newest_before is not None and number < newest_before):
            self._clear()
        self._genesis = genesis
        self._last_stored = number

    def _newest_reply(self, operation: str, netuid: NetUid | None) -> MemoryReply | None:
        """Return the newest reply, if its block is near the head and linked to the newest one."""
        if netuid is None:
            reply = self._newest_block if operation == LATEST_BLOCK.name else None
        else:
            reply = self._snapshots.newest(netuid) if operation in _LATEST_OF_SUBNETS else None
        if (
            reply is None
            or not is_near_head(reply.block.number, self._head)
            or reply.block not in self._blocks
        ):
            return None
        return self._projected(operation, netuid, reply)

    def _observe_head(self, event: FeedEvent, sent_after_s: float) -> None:
        is_new = self._last_stored is not None and event.block.number > self._last_stored
        if event.head is None or not is_new:
            self._fresh_until_s = _NEVER_S
            return
        self._head = event.head.number
        self._head_at_s = sent_after_s
        self._fresh_until_s = sent_after_s + min(
            event.head.fresh_for_s, MAX_LAG_BLOCKS * self._block_duration_s
        )

    def _is_too_old(self, number: BlockNumber) -> bool:
        silent_s = self._clock_s() - self._head_at_s
        newest = self._newest_block
        head = self._head if newest is None else max(self._head, newest.block.number)
        age = age_blocks(number, head, silent_s, self._block_duration_s)
        return age > self._recent_limit_blocks

    def _projected(self, operation: str, netuid: NetUid | None, reply: MemoryReply) -> MemoryReply:
        if netuid is None or operation not in _OF_VALIDATORS:
            return reply
        return self._snapshots.validators(netuid, reply)

    def _clear(self) -> None:
        self._blocks.clear()
        self._served.clear()
        self._snapshots.clear()
        self._newest_block = None
        self._fresh_until_s = _NEVER_S
