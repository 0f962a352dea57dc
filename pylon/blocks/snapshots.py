"""The newest published block and neurons, encoded, from which reads of the latest are served.

A stale snapshot must not be served as the latest when the chain is down. A snapshot is fresh while
the head has advanced within the last `max_silence_s` seconds and the snapshot is at most
`MAX_LAG_BLOCKS` away from that head. Without a fresh snapshot the caller queries the chain itself,
which returns the truth or an error.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from pylon.common.unreadable_records import UNREADABLE
from pylon_client.contract.models import Block, BlockInfo, SubnetNeurons
from pylon_client.contract.subjects import BlockEventSubject
from pylon_client.contract.types import BlockNumber
from pylon_client.events.stored_events import FeedEvent

logger = logging.getLogger(__name__)

MAX_LAG_BLOCKS: Final = 3
"""Maximum distance of a fresh snapshot from the head, in blocks."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The body of an event, and the block at which it was read."""

    block: Block
    body: bytes


def parse_snapshot(event: FeedEvent) -> Snapshot | None:
    """Return the snapshot of an event, or None if its body does not match its headers."""
    model = BlockInfo if event.subject == str(BlockEventSubject()) else SubnetNeurons
    try:
        value = model.model_validate_json(event.body)
    except ValidationError:
        block = None
    else:
        block = (
            Block(number=value.number, hash=value.hash)
            if isinstance(value, BlockInfo)
            else value.block
        )
    if block != event.block:
        UNREADABLE.report(
            logger,
            "event",
            event.subject,  # the next event of the publisher mostly fails as well
            "Could not decode the event of %s at block %d",
            *(event.subject, event.block.number),
        )
        return None
    return Snapshot(event.block, event.body)


class Snapshots:
    """The newest snapshot of each event subject.

    One thread may write while others read: each field is replaced atomically.

    Attributes:
        requests: number of requests for a fresh snapshot by subject; one thread counts them.
    """

    def __init__(
        self, *, max_silence_s: float, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Start without snapshots.

        Args:
            max_silence_s: seconds after the head's last advance for which snapshots are fresh.
            clock_s: monotonic time, in seconds.
        """
        self.requests = Counter[str]()
        self._max_silence_s = max_silence_s
        self._clock_s = clock_s
        self._by_subject: dict[str, Snapshot] = {}
        self._head = BlockNumber(-1)
        self._max_head = BlockNumber(-1)
        self._head_at_s = float("-inf")
        self._has_advanced = False

    def put(self, subject: str, snapshot: Snapshot) -> None:
        """Store a snapshot, unless a newer one of the same subject is stored."""
        stored = self._by_subject.get(subject)
        if stored is None or stored.block.number < snapshot.block.number:
            self._by_subject[subject] = snapshot

    def observe_head(self, head: BlockNumber) -> None:
        """Record the chain's current head, which may be lower than before.

        A head that is a few blocks lower does not count as an advance: several stopped nodes behind
        one address may have different heads.
        """
        self._head = head
        if head > self._max_head or head < self._max_head - MAX_LAG_BLOCKS:
            self._has_advanced = self._max_head >= 0
            self._max_head = head
            self._head_at_s = self._clock_s()

    @property
    def head(self) -> BlockNumber | None:
        """Return the chain's last known head; None before the first one."""
        return self._head if self._head >= 0 else None

    @property
    def head_age_s(self) -> float | None:
        """Return the seconds since the head last moved; None before the first head."""
        return None if self._head < 0 else self._clock_s() - self._head_at_s

    @property
    def since_last_advance_s(self) -> float | None:
        """Return the seconds since the head last advanced; None if it has not since the start."""
        return self._clock_s() - self._head_at_s if self._has_advanced else None

    def describe_last_head(self) -> str:
        """Return a sentence on the last known head and its age; empty before the first head."""
        if self._head < 0:
            return ""
        age_s = self._clock_s() - self._head_at_s
        return f" The last known block is {self._head}, {age_s:.0f} s ago."

    def latest_block(self) -> Snapshot | None:
        """Return the newest block's snapshot, if it is fresh."""
        return self.get_fresh(str(BlockEventSubject()))

    def get(self, subject: str) -> Snapshot | None:
        """Return a subject's newest snapshot, of any age."""
        return self._by_subject.get(subject)

    def get_fresh(self, subject: str) -> Snapshot | None:
        """Return a subject's newest snapshot, if it is fresh."""
        self.requests[subject] += 1
        snapshot = self._by_subject.get(subject)
        if snapshot is None or self._clock_s() - self._head_at_s > self._max_silence_s:
            return None
        # In both directions: events of another chain may be far ahead of the head.
        return snapshot if abs(self._head - snapshot.block.number) <= MAX_LAG_BLOCKS else None
