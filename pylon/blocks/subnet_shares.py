"""Shares the tracked subnets among the workers that a block event names.

The publisher of a block lists the workers that can publish its subnets in the event. Every worker
computes the owner of each subnet from this list, so that all of them get the same result. If a
listed worker dies, the others remove it from the list.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from pylon.blocks.publish_progress import PublishProgress
from pylon.blocks.publisher_members import PublisherMembers, choose_publisher
from pylon.blocks.subnet_publisher import MAX_QUEUED_BLOCKS, SubnetPublisher
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import (
    BlockEventSubject,
    NeuronsEventSubject,
    parse_subject,
)
from pylon_client.contract.types import BlockNumber, NetUid, PublisherId
from pylon_client.events.stored_events import FeedEvent

logger = logging.getLogger(__name__)

HANDOVER_TIMEOUT_S: Final = 12.0
"""Seconds for which the new owner of a subnet waits for the last snapshot of the previous one: one
block time."""


@dataclass(frozen=True, slots=True)
class _Handover:
    """A wait for the last snapshot of the previous owner of a subnet.

    Attributes:
        previous: the previous owner.
        last: the last block of the previous owner.
        timer: ends the wait.
    """

    previous: PublisherId
    last: BlockNumber
    timer: asyncio.TimerHandle


class SubnetShares:
    """Publishes the subnets that this worker owns at each block.

    A new owner continues after the newest stored snapshot of a subnet. Snapshots are therefore
    complete and in order, regardless of who owned the subnet before. While the previous owner is
    live, the new one first waits for its last snapshot, so that no block is read twice.

    Args:
        subnets: the publishers of the tracked subnets.
        members: the workers that can publish.
        progress: records whether due snapshots are stored.
        is_leader: returns whether this worker publishes the blocks.
        head: returns the newest head of the chain; a block that is further away than the number of
            stored snapshots gets none.
        demand: returns the number of requests for a subnet; the most requested ones come first.
        stalled_after_s: seconds without a stored snapshot after which this worker stands down for
            the same time, if others store theirs.
    """

    def __init__(
        self,
        subnets: Iterable[SubnetPublisher],
        members: PublisherMembers,
        progress: PublishProgress,
        *,
        is_leader: Callable[[], bool],
        head: Callable[[], BlockNumber | None],
        demand: Callable[[NetUid], int],
        stalled_after_s: float,
    ) -> None:
        self._subnets = {subnet.netuid: subnet for subnet in subnets}
        self._members = members
        members.on_left = self.reassign
        self._progress = progress
        self._is_leader = is_leader
        self._head = head
        self._demand = demand
        self._stalled_after_s = stalled_after_s
        self._newest: Block | None = None
        self._listed: tuple[PublisherId, ...] = ()
        self._owners: dict[NetUid, PublisherId | None] = {}
        self._handovers: dict[NetUid, _Handover] = {}
        self._last_snapshots: dict[NetUid, BlockNumber] = {}
        self._stands_down_until_s = float("-inf")

    @property
    def owned_subnets(self) -> int:
        """Return the number of subnets that this worker publishes."""
        return sum(owner == self._members.own_id for owner in self._owners.values())

    @property
    def stands_down(self) -> bool:
        """Return whether this worker leaves its subnets to others, because it was stalled."""
        return asyncio.get_running_loop().time() < self._stands_down_until_s

    async def run(self) -> None:
        """Publish the owned subnets until cancelled."""
        self._owners.clear()  # after a failure, continue after the stored snapshots
        self.reassign()
        try:
            async with asyncio.TaskGroup() as group:
                for subnet in self._subnets.values():
                    group.create_task(subnet.run(), name=f"snapshots of subnet {subnet.netuid}")
        finally:
            for netuid in list(self._handovers):
                self._end_handover(netuid)

    def observe(self, event: FeedEvent) -> None:
        """Observe a published event: a block to publish the subnets of, or a snapshot."""
        match parse_subject(event.subject):
            case BlockEventSubject():
                self._observe_block(event.block, event.publishers)
            case NeuronsEventSubject(netuid):
                self._observe_snapshot(netuid, event.block.number)
            case _:
                pass

    def reassign(self) -> None:
        """Compute the owners again, because a worker has left or this one is the leader now."""
        for netuid, handover in list(self._handovers.items()):
            if not self._members.is_live(handover.previous):
                self._finish_handover(netuid)
        self._assign(is_new_block=False)

    def _observe_block(self, block: Block, listed: tuple[PublisherId, ...]) -> None:
        if self._newest is not None and block.number <= self._newest.number:
            return
        head = self._head()
        # A block far above the head belongs to another chain.
        if head is not None and abs(head - block.number) >= MAX_QUEUED_BLOCKS:
            return
        self._newest, self._listed = block, listed
        if all(subnet.is_idle for subnet in self._subnets.values()):
            self._progress.mark_idle()
        self._assign(is_new_block=True)

    def _observe_snapshot(self, netuid: NetUid, number: BlockNumber) -> None:
        self._last_snapshots[netuid] = number
        handover = self._handovers.get(netuid)
        if handover is not None and number >= handover.last:
            self._finish_handover(netuid)
        is_of_another = self._owners.get(netuid) not in {None, self._members.own_id}
        if is_of_another and self._progress.stalled_s >= self._stalled_after_s:
            logger.error(
                "Leaving the subnets of this worker to others: no snapshot stored for %.0f s while "
                "they store theirs",
                self._progress.stalled_s,
            )
            self._progress.mark_idle()
            self._stands_down_until_s = asyncio.get_running_loop().time() + self._stalled_after_s

    def _assign(self, *, is_new_block: bool) -> None:
        newest = self._newest
        if newest is None:
            return
        own_id = self._members.own_id
        # The publishers start in this order.
        for netuid in sorted(self._subnets, key=lambda each: (-self._demand(each), each)):
            subnet = self._subnets[netuid]
            owner, previous = self._choose_owner(netuid), self._owners.get(netuid)
            self._owners[netuid] = owner
            if owner != own_id:
                self._end_handover(netuid)
                if previous == own_id and not is_new_block:
                    subnet.drop()
            elif previous != own_id:
                self._gain(subnet, previous, newest)
            elif is_new_block and netuid not in self._handovers:
                self._progress.mark_due()
                subnet.enqueue(newest)

    def _choose_owner(self, netuid: NetUid) -> PublisherId | None:
        live = [publisher for publisher in self._listed if self._members.is_live(publisher)]
        if live:
            return choose_publisher(netuid, live)
        return self._members.own_id if self._is_leader() else None

    def _gain(self, subnet: SubnetPublisher, previous: PublisherId | None, newest: Block) -> None:
        netuid, last = subnet.netuid, BlockNumber(newest.number - 1)
        is_complete = self._last_snapshots.get(netuid, -1) >= last
        if previous is None or is_complete or not self._members.is_live(previous):
            self._progress.mark_due()
            subnet.take_over(newest)
            return
        timer = asyncio.get_running_loop().call_later(
            HANDOVER_TIMEOUT_S, self._finish_handover, netuid
        )
        self._handovers[netuid] = _Handover(previous, last, timer)

    def _finish_handover(self, netuid: NetUid) -> None:
        self._end_handover(netuid)
        if self._newest is not None:
            self._progress.mark_due()
            self._subnets[netuid].take_over(self._newest)

    def _end_handover(self, netuid: NetUid) -> None:
        handover = self._handovers.pop(netuid, None)
        if handover is not None:
            handover.timer.cancel()
