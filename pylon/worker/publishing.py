"""The publishing parts of a worker: streams, leadership, block events and its share of subnets."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from pylon.blocks.block_publisher import BlockPublisher
from pylon.blocks.head_tracker import HeadTracker
from pylon.blocks.last_published import LastPublished, StoredBlock
from pylon.blocks.leadership import CHAIN_LOST_AFTER_S, STALLED_AFTER_BLOCKS, Leadership
from pylon.blocks.publish_progress import PublishProgress
from pylon.blocks.publisher_members import PublisherMembers
from pylon.blocks.snapshot_fetcher import SnapshotFetcher
from pylon.blocks.snapshots import Snapshots
from pylon.blocks.subnet_publisher import SubnetPublisher
from pylon.blocks.subnet_shares import SubnetShares
from pylon.blocks.watcher import BlockWatcher
from pylon.chain.chain_guard import ChainGuard
from pylon.chain.chain_reader import ChainReader
from pylon.chain.port import Chain
from pylon.common.read_cache import ReadCache
from pylon.events.event_log import EventLog
from pylon.events.event_publisher import EventPublisher
from pylon.events.publisher_heartbeats import PublisherHeartbeats
from pylon.jetstream.bucket import Bucket
from pylon.jetstream.lease import Leases
from pylon.jetstream.stream_monitor import StreamMonitor
from pylon.jetstream.write_health import WriteHealth
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.topology import LEADERSHIP_BUCKET, LEADERSHIP_TTL_S
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

CACHE_BYTES: Final = 4 * 2**20
"""Size of the publisher's read cache, in bytes; each snapshot is read only once for publishing."""


@dataclass
class PublishingParts:
    """Publishes every block while this worker is the leader, and always its share of subnets.

    Attributes:
        settings: settings of the worker.
        chain: the chain to read.
        head_tracker: tracks the heads of that chain.
        snapshots: latest published blocks and neurons.
        metrics: metrics of the worker.
        connection: connection to NATS, as a user with JetStream.
        guard: the chain that is published.
        last_published: the newest block that JetStream stores.
        write_health: records failed writes to JetStream.
    """

    settings: WorkerSettings
    chain: Chain
    head_tracker: HeadTracker
    snapshots: Snapshots
    metrics: WorkerMetrics
    connection: NatsConnection
    guard: ChainGuard
    last_published: LastPublished
    write_health: WriteHealth

    def __post_init__(self) -> None:
        """Create the parts; none of them runs yet."""
        self._progress = PublishProgress()
        self._event_log = EventLog(self.connection)
        self._chain_is_lost = True
        stalled_after_s = max(
            STALLED_AFTER_BLOCKS * self.settings.block_duration_seconds,
            2 * self.settings.chain_timeout_seconds,
        )
        self.streams = StreamMonitor(self.connection, replicas=self.settings.nats_stream_replicas)
        self.leadership = Leadership(
            Leases(Bucket(self.connection, LEADERSHIP_BUCKET, self.write_health), LEADERSHIP_TTL_S),
            self.head_tracker,
            self._publish,
            progress=self._progress,
            stalled_after_s=stalled_after_s,
        )
        self._members = PublisherMembers(
            PublisherHeartbeats(self.connection),
            can_publish=lambda: not (self._chain_is_lost or self.shares.stands_down),
        )
        progress = PublishProgress()
        self.shares = SubnetShares(
            self._subnet_publishers(progress),
            self._members,
            progress,
            is_leader=lambda: self.leadership.is_leader,
            head=lambda: self.head_tracker.newest,
            demand=lambda netuid: self.snapshots.requests[str(NeuronsEventSubject(netuid))],
            stalled_after_s=stalled_after_s,
        )
        self.metrics.publisher_leader.read = lambda: {(): float(self.leadership.is_leader)}
        self.metrics.publisher_stalls.read = lambda: {(): self.leadership.stalls}
        self.metrics.publisher_subnets.read = lambda: {(): float(self.shares.owned_subnets)}
        for netuid in self.settings.netuids:  # exposed as 0, so that the first increase is visible
            self.metrics.skipped_neurons.labels(str(netuid))

    @property
    def parts(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """Return the parts to run by name."""
        return {
            "events": self.leadership.run,
            "neurons": self._publish_subnets,
            "streams": self.streams.run,
            "last published block": lambda: self.last_published.poll(self._newest_stored_block),
        }

    async def _publish(self) -> None:
        publisher = BlockPublisher(
            self.chain,
            self._event_publisher(),
            chain_timeout_s=self.settings.chain_timeout_seconds,
            publishers=lambda: self._members.to_list,
            last_received=self._last_received_block,
            is_reorged_out=self.head_tracker.is_reorged_out,
            progress=self._progress,
            on_published=self.last_published.observe,
            on_skipped=self.metrics.skipped_blocks.inc,
        )
        watcher = BlockWatcher(
            self.head_tracker,
            publisher.publish,
            progress=self._progress,
            on_dropped=self.metrics.skipped_blocks.inc,
        )
        last = await publisher.resume()
        logger.info("Publishing %s", "from now on" if last is None else f"after block {last}")
        self.shares.reassign()
        await watcher.run(last)

    async def _publish_subnets(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_chain(), name="state of the chain")
            group.create_task(self._members.run(), name="heartbeats of publishers")
            group.create_task(self.shares.run(), name="subnets")

    async def _follow_chain(self) -> None:
        while True:
            await self.head_tracker.wait_until_live()
            self._chain_is_lost = False
            await self.head_tracker.wait_until_lost(CHAIN_LOST_AFTER_S)
            self._chain_is_lost = True

    def _subnet_publishers(self, progress: PublishProgress) -> list[SubnetPublisher]:
        settings = self.settings
        fetcher = SnapshotFetcher(
            ChainReader(
                self.chain,
                chain_timeout_s=settings.chain_timeout_seconds,
                cache=ReadCache(CACHE_BYTES),
            )
        )
        sink = self._event_publisher()
        return [
            SubnetPublisher(
                netuid,
                fetch=fetcher.fetch,
                block_at=fetcher.block,
                sink=sink,
                last_received=self._last_received_block,
                on_progress=progress.mark_published,
                on_skipped=lambda netuid, blocks: self.metrics.skipped_neurons.labels(
                    str(netuid)
                ).inc(blocks),
            )
            for netuid in settings.netuids
        ]

    def _event_publisher(self) -> EventPublisher:
        return EventPublisher(
            self.connection,
            lambda: self.guard.genesis,
            self.write_health,
            lambda: self.snapshots.observed_head,
        )

    async def _newest_stored_block(self) -> StoredBlock | None:
        newest = await self._event_log.newest(str(BlockEventSubject()))
        if newest is None or newest.event is None:
            return None
        return newest.block_number, newest.stored_at

    def _last_received_block(self, subject: str) -> Block | None:
        """Return the block of the newest event of a subject that this worker has received.

        An event of a block above the head belongs to another chain and is ignored.
        """
        seen, head = self.snapshots.get(subject), self.head_tracker.newest
        if seen is None or head is None or seen.block.number > head:
            return None
        return seen.block
