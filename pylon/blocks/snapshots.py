"""The newest published block and neurons, encoded, from which reads of the latest are served.

A stale snapshot must not be served as the latest when the chain is down; `pylon.common.freshness`
has the rule. Without a fresh snapshot the caller queries the chain itself, which returns the truth
or an error.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from pylon.blocks.past_snapshots import PastSnapshots
from pylon.common.freshness import MAX_LAG_BLOCKS, is_near_head
from pylon.common.unreadable_records import UNREADABLE
from pylon_client.contract import neurons_body
from pylon_client.contract.models import Block, BlockInfo
from pylon_client.contract.subjects import BlockEventSubject
from pylon_client.contract.types import BlockNumber
from pylon_client.events.observed_head import ObservedHead
from pylon_client.events.stored_events import FeedEvent

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The body of an event, and the block at which it was read."""

    block: Block
    body: bytes


def parse_snapshot(event: FeedEvent) -> Snapshot | None:
    """Return the snapshot of an event, or None if its body does not match its headers.

    The block is that of the headers. Neurons are checked by the start of their body alone.
    """
    is_block = event.subject == str(BlockEventSubject())
    matches = _is_info_of_block if is_block else neurons_body.is_of_block
    if not matches(event.body, event.block):
        UNREADABLE.report(
            logger,
            "event",
            event.subject,  # the next event of the publisher mostly fails as well
            "Could not decode the event of %s at block %d",
            *(event.subject, event.block.number),
        )
        return None
    return Snapshot(event.block, event.body)


def _is_info_of_block(body: bytes, block: Block) -> bool:
    try:
        info = BlockInfo.model_validate_json(body)
    except ValidationError:
        return False
    return (info.number, info.hash) == (block.number, block.hash)


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
        self._past = PastSnapshots()
        self._head = BlockNumber(-1)
        self._max_head = BlockNumber(-1)
        self._head_at_s = float("-inf")
        self._has_advanced = False

    def put(self, subject: str, snapshot: Snapshot) -> None:
        """Store a snapshot, unless a newer one of the same subject is stored."""
        stored = self._by_subject.get(subject)
        if stored is None or stored.block.number < snapshot.block.number:
            if stored is not None:
                self._past.put(subject, stored.block, stored.body)
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

    @property
    def observed_head(self) -> ObservedHead | None:
        """Return the chain's head for subscribers of its blocks; None before the first head."""
        if self._head < 0:
            return None
        silent_s = self._clock_s() - self._head_at_s
        return ObservedHead(self._head, max(self._max_silence_s - silent_s, 0.0))

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

    def get_at(self, subject: str, block: Block) -> Snapshot | None:
        """Return a subject's snapshot at a block, if it is the newest one or one of the last."""
        newest = self._by_subject.get(subject)
        if newest is not None and newest.block == block:
            return newest
        body = self._past.get(subject, block)
        return None if body is None else Snapshot(block, body)

    def get_fresh(self, subject: str) -> Snapshot | None:
        """Return a subject's newest snapshot, if it is fresh."""
        self.requests[subject] += 1
        snapshot = self._by_subject.get(subject)
        if snapshot is None or self._clock_s() - self._head_at_s > self._max_silence_s:
            return None
        return snapshot if is_near_head(snapshot.block.number, self._head) else None
