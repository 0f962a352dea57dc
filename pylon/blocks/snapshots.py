"""The newest published block and neurons, encoded: what "latest" is answered from.

"Latest" must not lie when the chain is down or this worker has lost it. A snapshot is given out
only while the chain is heard of: its head must have advanced within the last `max_silence_s`
seconds, and the snapshot may be at most `MAX_LAG_BLOCKS` away from that head. Otherwise there
is no snapshot, and the caller asks the chain itself, which answers truly or fails with its reason.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from pylon.common.unreadable_records import UNREADABLE
from pylon_client.contract.models import Block, BlockInfo, SubnetNeurons
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.events.stored_events import FeedEvent

logger = logging.getLogger(__name__)

MAX_LAG_BLOCKS: Final = 3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An event's body and the block that it was read at."""

    block: Block
    body: bytes


def parse_snapshot(event: FeedEvent) -> Snapshot | None:
    """What an event tells, or None where its body is not what its headers say."""
    model = BlockInfo if event.subject == str(BlockEventSubject()) else SubnetNeurons
    try:
        told = model.model_validate_json(event.body)
    except ValidationError:
        block = None
    else:
        block = (
            Block(number=told.number, hash=told.hash) if isinstance(told, BlockInfo) else told.block
        )
    if block != event.block:
        UNREADABLE.report(
            logger,
            "event",
            event.subject,  # a publisher that writes one writes another at the next block
            "The event of %s at block %d cannot be read",
            *(event.subject, event.block.number),
        )
        return None
    return Snapshot(event.block, event.body)


class Snapshots:
    """The newest snapshot of each event subject.

    One thread may write while others read: each field is replaced as a whole.
    """

    def __init__(
        self, *, max_silence_s: float, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with none.

        Args:
            max_silence_s: for how long after the head's last advance snapshots are given out.
            clock_s: a clock that never goes back.
        """
        self._max_silence_s = max_silence_s
        self._clock_s = clock_s
        self._by_subject: dict[str, Snapshot] = {}
        self._head = BlockNumber(-1)
        self._max_head = BlockNumber(-1)
        self._head_at_s = float("-inf")
        self._has_advanced = False

    def put(self, subject: str, snapshot: Snapshot) -> None:
        """Keep a snapshot, unless a newer one of the same subject is kept already."""
        kept = self._by_subject.get(subject)
        if kept is None or kept.block.number < snapshot.block.number:
            self._by_subject[subject] = snapshot

    def observe_head(self, head: BlockNumber) -> None:
        """Note the chain's head, as the chain itself said it just now; it may be a lower one.

        A head that is a few blocks lower is no sign of life: behind one address there may be
        several nodes that have stopped at different blocks.
        """
        self._head = head
        if head > self._max_head or head < self._max_head - MAX_LAG_BLOCKS:
            self._has_advanced = self._max_head >= 0
            self._max_head = head
            self._head_at_s = self._clock_s()

    @property
    def head(self) -> BlockNumber | None:
        """The chain's head, as it was received last; None when it never was."""
        return self._head if self._head >= 0 else None

    @property
    def head_age_s(self) -> float | None:
        """How long ago the head moved last; None when it was never heard of."""
        return None if self._head < 0 else self._clock_s() - self._head_at_s

    @property
    def since_last_advance_s(self) -> float | None:
        """Return how long ago a head followed another; None where none has since the start."""
        return self._clock_s() - self._head_at_s if self._has_advanced else None

    def describe_last_head(self) -> str:
        """A sentence on when the chain was last heard of; empty when it never was."""
        if self._head < 0:
            return ""
        age_s = self._clock_s() - self._head_at_s
        return f" The last block heard of is {self._head}, {age_s:.0f} s ago."

    def latest_block(self) -> Snapshot | None:
        """The newest block's event, if it can still be called the latest."""
        return self.get_fresh(str(BlockEventSubject()))

    def latest_neurons(self, netuid: NetUid) -> Snapshot | None:
        """A subnet's newest neurons, if they can still be called the latest."""
        return self.get_fresh(str(NeuronsEventSubject(netuid)))

    def get(self, subject: str) -> Snapshot | None:
        """A subject's newest snapshot, however old it is."""
        return self._by_subject.get(subject)

    def get_fresh(self, subject: str) -> Snapshot | None:
        snapshot = self._by_subject.get(subject)
        if snapshot is None or self._clock_s() - self._head_at_s > self._max_silence_s:
            return None
        # Both ways: what another chain left in the stream may be far ahead of this one's head.
        return snapshot if abs(self._head - snapshot.block.number) <= MAX_LAG_BLOCKS else None
