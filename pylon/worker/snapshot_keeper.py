"""Fills the snapshots of a worker from the event stream."""

from dataclasses import dataclass

from pylon.blocks.last_published import LastPublished
from pylon.blocks.snapshots import Snapshots, snapshot_of
from pylon.chain.chain_guard import ChainGuard
from pylon.chain.chain_identity import ChainIdentity
from pylon.worker.backends import stored_events
from pylon.worker.binding.chain_binder import ForeignStateError
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.events.feed import EventFeed
from pylon_client.nats.nats_connection import Connection


@dataclass(frozen=True, slots=True)
class SnapshotKeeper:
    """Keeps what is published of the blocks and of the tracked subnets.

    Attributes:
        settings: of the worker.
        snapshots: to fill.
        guard: knows the chain of the state; a reader without JetStream learns it here.
        published: the newest block that is published; a reader without JetStream learns it here.
    """

    settings: WorkerSettings
    snapshots: Snapshots
    guard: ChainGuard
    published: LastPublished

    async def run(self, connection: Connection) -> None:
        """Follow the events until cancelled.

        Args:
            connection: to NATS, as the worker's user.

        Raises:
            ForeignStateError: the signers of this reader publish another chain than before.
        """
        subjects = [str(BlockEventSubject())]
        subjects += [str(NeuronsEventSubject(netuid)) for netuid in self.settings.netuids]
        stored = stored_events(self.settings, connection)
        async with EventFeed(connection, subjects, stored) as feed:
            async for event in feed:
                if event.genesis and self.guard.genesis not in {None, event.genesis}:
                    if not self.settings.is_confined:
                        continue  # left there by another chain
                    raise ForeignStateError(
                        "the signers publish another chain than before: this worker stops, to be "
                        "started afresh"
                    )
                if self.settings.is_confined and event.genesis:
                    self.guard.bind(ChainIdentity("of the signers", event.genesis))
                if (snapshot := snapshot_of(event)) is not None:
                    self.snapshots.keep(event.subject, snapshot)
                    if self.settings.is_confined and event.subject == str(BlockEventSubject()):
                        self.published.observe(event.block.number)  # it may not ask the stream
