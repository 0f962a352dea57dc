"""The last published neurons of tracked subnets, unless they are too old."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from pylon.blocks.snapshots import Snapshot, Snapshots
from pylon.common.freshness import age_blocks
from pylon.rpc.calls import CallResult
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber, NetUid

TRACKED_SETTING: Final = "PYLON_TRACKED_NETUIDS"
"""The setting to name in errors."""


@dataclass(frozen=True, slots=True)
class RecentNeurons:
    """The last published neurons of the tracked subnets.

    Their age is measured in blocks. While the head does not advance, the age grows by one block per
    block time since its last advance, so that it also grows during an outage. If the head has not
    advanced since this worker's start, the age is measured from the timestamp of the last published
    block. Only in this case the clocks of this machine and of the chain have to agree.

    Attributes:
        snapshots: the newest published events.
        tracked: the subnets whose neurons are published.
        hard_limit_blocks: maximum age of returned neurons, in blocks.
        block_duration_s: the chain's block time, in seconds.
        now_s: returns this machine's time, in seconds since the Unix epoch.
    """

    snapshots: Snapshots
    tracked: Collection[NetUid]
    hard_limit_blocks: int
    block_duration_s: float
    now_s: Callable[[], float] = time.time

    def get(self, netuid: NetUid) -> CallResult:
        """Return the last published neurons of a subnet.

        Raises:
            FailureError: NOT_FOUND for a subnet that is not tracked, NO_RECENT_SNAPSHOT if no
                neurons were published yet or they are too old.
        """
        if netuid not in self.tracked:
            raise FailureError(
                ErrorCode.NOT_FOUND,
                f"Subnet {netuid} is not one of the tracked subnets ({TRACKED_SETTING}); recent "
                "neurons are stored for tracked subnets only.",
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
            silent_s = max(self.now_s() - json_codec.decode(newest.body)["timestamp"], 0.0)
        else:
            last = max(last, self.snapshots.head or BlockNumber(0))
        return age_blocks(snapshot.block.number, last, silent_s, self.block_duration_s)
