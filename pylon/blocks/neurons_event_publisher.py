"""Publishes the snapshots of one tracked subnet, each followed by its changes."""

import logging
from dataclasses import dataclass
from functools import cached_property

from pylon.common.unreadable_records import UNREADABLE
from pylon.events.event_types import EventSink, changes_event
from pylon_client.contract.snapshot_changes import EncodedSnapshot, changes_between
from pylon_client.contract.subjects import ChangesEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.events.stored_events import FeedEvent

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Snapshot:
    """A published snapshot."""

    event: FeedEvent

    @cached_property
    def decoded(self) -> EncodedSnapshot:
        """Return its parts; raise ValueError if it is not valid."""
        return EncodedSnapshot.decode(self.event.body)


class NeuronsEventPublisher:
    """Publishes snapshots in order, and after each one the changes from the one before it.

    At the start and after `resume`, the changes continue after the newest stored ones, so that a
    publisher that ended between a snapshot and its changes leaves no gap. Without a stored
    snapshot, the first one has no changes.

    Args:
        netuid: the subnet.
        sink: stores the events.
    """

    def __init__(self, netuid: NetUid, sink: EventSink) -> None:
        self._netuid = netuid
        self._sink = sink
        self._subject = str(NeuronsEventSubject(netuid))
        self._has_resumed = False
        self._previous: _Snapshot | None = None

    def resume(self) -> None:
        """Continue after the stored events, since another worker may have published some."""
        self._has_resumed = False
        self._previous = None

    async def publish(self, snapshot: FeedEvent) -> None:
        """Return when the stream has stored a snapshot and its changes.

        Raises:
            FailureError: NATS_UNAVAILABLE; publishing the same snapshot again is safe.
        """
        if not self._has_resumed:
            await self._find_previous()
            self._has_resumed = True
        await self._sink.publish(snapshot)
        await self._publish_changes(snapshot)

    async def _find_previous(self) -> None:
        """Find the newest snapshot with published changes, and publish the changes after it."""
        last = await self._sink.last_block(str(ChangesEventSubject(self._netuid)))
        event = None
        if last is not None:
            before = BlockNumber(last.number - 1)
            event = await self._sink.stored_event(self._subject, before)
        if event is None or event.block != last:
            event = await self._sink.stored_event(self._subject)
        self._previous = None if event is None else _Snapshot(event)
        while event is not None:
            event = await self._sink.stored_event(self._subject, event.block.number)
            if event is not None:
                await self._publish_changes(event)

    async def _publish_changes(self, event: FeedEvent) -> None:
        previous, snapshot = self._previous, _Snapshot(event)
        if previous is not None and previous.event.block.number < event.block.number:
            try:
                body = changes_between(previous.decoded, snapshot.decoded)
            except ValueError as error:
                UNREADABLE.report(
                    logger,
                    "event",
                    self._subject,
                    "Could not compare the neurons of subnet %d at block %d with those before: %s",
                    *(self._netuid, event.block.number, error),
                )
            else:
                await self._sink.publish(changes_event(self._netuid, event.block, body))
        self._previous = snapshot
