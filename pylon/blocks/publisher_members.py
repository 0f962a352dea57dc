"""The workers that can publish, as this worker observes them by their heartbeats."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from pylon.events.publisher_heartbeats import PublisherHeartbeats
from pylon_client.contract.types import NetUid, PublisherId

HEARTBEAT_INTERVAL_S: Final = 0.75
"""Seconds between two heartbeats of a worker."""
MAX_MISSED_HEARTBEATS: Final = 4
"""Heartbeats of this worker without one of another worker after which that one counts as dead."""
_FORGOTTEN_AFTER: Final = 1000
"""Missed heartbeats after which a worker is forgotten."""


def choose_publisher(netuid: NetUid, publishers: Collection[PublisherId]) -> PublisherId:
    """Return the publisher of a subnet by rendezvous hashing.

    If a publisher leaves, only its subnets move; if one joins, it takes its part from all others.
    """
    return max(
        publishers,
        key=lambda publisher: hashlib.blake2b(f"{netuid} {publisher}".encode()).digest(),
    )


@dataclass(slots=True)
class _Member:
    """Another worker.

    Attributes:
        missed: heartbeats of this worker since the last one of the member.
        was_observed: whether it has sent a heartbeat.
    """

    missed: int = 0
    was_observed: bool = False

    @property
    def is_live(self) -> bool:
        return self.missed < MAX_MISSED_HEARTBEATS


class PublisherMembers:
    """Sends the heartbeats of this worker, and observes those of the others.

    Time is counted in received heartbeats of this worker. While this worker is disconnected, paused
    or slow, it receives none of them, and therefore counts no other worker as dead.

    Args:
        heartbeats: sends and receives heartbeats.
        can_publish: returns whether this worker can publish now.

    Attributes:
        own_id: id of this worker.
        is_available: whether this worker announces that it can publish.
        on_left: called when a worker has died or can no longer publish, including this one.
    """

    def __init__(self, heartbeats: PublisherHeartbeats, *, can_publish: Callable[[], bool]) -> None:
        self.own_id = PublisherId(secrets.token_hex(4))
        self.is_available = False
        self.on_left: Callable[[], None] = lambda: None
        self._heartbeats = heartbeats
        self._can_publish = can_publish
        self._others: dict[PublisherId, _Member] = {}

    @property
    def to_list(self) -> list[PublisherId]:
        """Return the workers to publish the next block's subnets, by default this worker."""
        found = [id_ for id_, each in self._others.items() if each.is_live and each.was_observed]
        if self.is_available or not found:
            found.append(self.own_id)
        return sorted(found)

    def is_live(self, publisher: PublisherId) -> bool:
        """Return whether a worker can publish; an unknown one is given time for a heartbeat."""
        if publisher == self.own_id:
            return self.is_available
        return self._others.setdefault(publisher, _Member()).is_live

    def observe(self, publisher: PublisherId, is_available: bool) -> None:  # noqa: FBT001 -- a callback
        """Record a heartbeat."""
        if publisher == self.own_id:
            self._count_missed()
        elif is_available:
            self._others[publisher] = _Member(was_observed=True)
        else:
            member = self._others.setdefault(publisher, _Member())
            was_live, member.missed = member.is_live, MAX_MISSED_HEARTBEATS
            if was_live:
                self.on_left()

    async def run(self) -> None:
        """Send and receive heartbeats until cancelled."""
        async with self._heartbeats.subscription(self.observe):
            try:
                while True:
                    await self._beat(is_available=self._can_publish())
                    await asyncio.sleep(HEARTBEAT_INTERVAL_S)
            finally:
                await self._beat(is_available=False)

    async def _beat(self, *, is_available: bool) -> None:
        has_left = self.is_available and not is_available
        self.is_available = is_available
        await self._heartbeats.send(self.own_id, is_available=is_available)
        if has_left:
            self.on_left()

    def _count_missed(self) -> None:
        has_left = False
        for publisher, member in list(self._others.items()):
            member.missed += 1
            has_left |= member.missed == MAX_MISSED_HEARTBEATS
            if member.missed > _FORGOTTEN_AFTER:
                del self._others[publisher]
        if has_left:
            self.on_left()
