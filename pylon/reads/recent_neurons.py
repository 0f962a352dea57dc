"""What was published last, without asking the chain, as long as it is not too old."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from pylon.blocks.snapshots import Snapshot, Snapshots
from pylon.rpc.calls import CallResult
from pylon_client.contract import wire
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import NetUid

TRACKED_SETTING: Final = "PYLON_TRACKED_NETUIDS"


@dataclass(frozen=True, slots=True)
class RecentNeurons:
    """The last published neurons of the tracked subnets.

    Their age is counted in blocks. While the chain is silent, its blocks are taken to go on at
    their usual pace from when its head moved last, so that an outage does not stop the clock. Where
    the head has not moved since this worker's start, the timestamp of the last published block
    counts. Only then do the clocks of this machine and of the chain have to agree.

    Attributes:
        snapshots: what was published.
        tracked: the subnets whose neurons are.
        hard_limit_blocks: nothing older is given out.
        block_duration_s: the chain's usual pace.
        now_s: the time, in seconds since the Unix epoch, by this machine's clock.
    """

    snapshots: Snapshots
    tracked: Collection[NetUid]
    hard_limit_blocks: int
    block_duration_s: float
    now_s: Callable[[], float] = time.time

    def get(self, netuid: NetUid) -> CallResult:
        """The last published neurons of a subnet.

        Raises:
            FailureError: NOT_FOUND for a subnet that is not tracked, NO_RECENT_SNAPSHOT where
                nothing was published yet or it is too old.
        """
        if netuid not in self.tracked:
            raise FailureError(
                ErrorCode.NOT_FOUND,
                f"Subnet {netuid} is not one of the tracked subnets ({TRACKED_SETTING}), of which "
                "alone recent neurons are kept.",
            )
        snapshot = self.snapshots.get(str(NeuronsEventSubject(netuid)))
        newest = self.snapshots.get(str(BlockEventSubject()))
        if snapshot is None or newest is None:
            raise FailureError(
                ErrorCode.NO_RECENT_SNAPSHOT, f"Subnet {netuid}: nothing was published yet."
            )
        age_blocks = self._age_blocks(snapshot, newest)
        if age_blocks > self.hard_limit_blocks:
            raise FailureError(
                ErrorCode.NO_RECENT_SNAPSHOT,
                f"Subnet {netuid}: the last neurons were published about {age_blocks} blocks ago, "
                f"at block {snapshot.block.number}; at most {self.hard_limit_blocks} are allowed.",
            )
        return CallResult(snapshot.body, snapshot.block)

    def _age_blocks(self, snapshot: Snapshot, newest: Snapshot) -> int:
        silent_s, last = self.snapshots.since_last_advance_s, newest.block.number
        if silent_s is None:
            silent_s = max(self.now_s() - wire.decode(newest.body)["timestamp"], 0.0)
        else:
            last = max(last, self.snapshots.head or 0)
        return max(last - snapshot.block.number, 0) + int(silent_s / self.block_duration_s)
