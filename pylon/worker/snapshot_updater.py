"""Fills the snapshots of a worker from the event stream, which also triggers its publishers."""

from collections.abc import Callable
from dataclasses import dataclass

from pylon.blocks.last_published import LastPublished
from pylon.blocks.snapshots import Snapshots, parse_snapshot
from pylon.chain.chain_guard import ChainGuard
from pylon.chain.chain_identity import ChainIdentity
from pylon.worker.backends import open_stored_events
from pylon.worker.binding.chain_binder import ForeignStateError
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.events.feed import EventFeed
from pylon_client.events.stored_events import FeedEvent
from pylon_client.nats.nats_connection import NatsConnection


@dataclass(slots=True)
class SnapshotUpdater:
    """Stores the published blocks and the neurons of tracked subnets.

    Attributes:
        settings: settings of the worker.
        snapshots: the snapshots to fill.
        guard: the chain of the state; for a reader without JetStream, it is bound here.
        last_published: the newest published block; for a reader without JetStream, it is set here.
        on_event: receives each event, after its snapshot is stored.
    """

    settings: WorkerSettings
    snapshots: Snapshots
    guard: ChainGuard
    last_published: LastPublished
    on_event: Callable[[FeedEvent], None] = lambda _: None

    async def run(self, connection: NatsConnection) -> None:
        """Follow the events until cancelled.

        Args:
            connection: to NATS, as the worker's user.

        Raises:
            ForeignStateError: the signers of this reader publish another chain than before.
        """
        subjects = [str(BlockEventSubject())]
        subjects += [str(NeuronsEventSubject(netuid)) for netuid in self.settings.netuids]
        stored = open_stored_events(self.settings, connection)
        async with EventFeed(connection, subjects, stored) as feed:
            async for event in feed:
                if event.genesis and self.guard.genesis not in {None, event.genesis}:
                    if not self.settings.uses_reader_user:
                        continue  # an old event of another chain
                    raise ForeignStateError(
                        "the signers publish another chain than before: this worker stops, to be "
                        "restarted"
                    )
                if self.settings.uses_reader_user and event.genesis:
                    self.guard.bind(ChainIdentity("of the signers", event.genesis))
                if (snapshot := parse_snapshot(event)) is not None:
                    self.snapshots.put(event.subject, snapshot)
                    self.on_event(event)
                    if self.settings.uses_reader_user and event.subject == str(BlockEventSubject()):
                        self.last_published.observe(
                            event.block.number
                        )  # it has no access to the stream
