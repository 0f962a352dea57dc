"""The request server of a worker, with its own thread, event loop and connections.

So a flood of requests only delays requests: jobs, leases and publishing use the worker's main loop
and another connection to NATS.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

from pylon.blocks.snapshots import Snapshots
from pylon.chain.archive_routing import RoutedChain
from pylon.chain.chain_guard import ChainGuard
from pylon.chain.chain_reader import ChainReader
from pylon.chain.subtensor_writer import SubtensorWriter
from pylon.common.read_cache import ReadCache
from pylon.events.job_event_listener import subscribe_jobs
from pylon.events.job_event_publisher import JobEventPublisher
from pylon.events.replay import ReplayHandlers
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.work_queue import WorkQueue
from pylon.jetstream.write_health import WriteHealth
from pylon.jobs.absent_signers import AbsentSignerHandlers
from pylon.jobs.acceptor import JobAcceptor
from pylon.jobs.job_handlers import JobHandlers
from pylon.jobs.job_store import JobStore
from pylon.jobs.job_waiter import JobWaiter
from pylon.jobs.signer_directory import SignerDirectory
from pylon.jobs.weights_status import WeightsStatusHandler
from pylon.reads.read_handlers import ReadHandlers
from pylon.reads.recent_neurons import RecentNeurons
from pylon.reads.specs.weight_specs import WEIGHTS_STATUS_SPEC
from pylon.rpc.request_server import ALL_REQUESTS, RequestServer
from pylon.wallets.addresses import resolve_addresses
from pylon.worker.backends import (
    WorkerError,
    connect_worker,
    create_chain,
    create_chain_writer,
    open_stored_events,
)
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.role import WorkerRole
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.jobs import Job
from pylon_client.contract.operations import JOB_OPERATIONS, NATS_OPERATIONS, Scope
from pylon_client.contract.reads import WEIGHTS_STATUS
from pylon_client.contract.subjects import (
    ALL_OPEN,
    ALL_REPLAYS,
    requests_of_all_identities,
)
from pylon_client.contract.topology import JOB_QUEUE, JOB_STORE, JOBS_BUCKET
from pylon_client.contract.types import BlockNumber, Hotkey, IdentityName
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)


@dataclass
class RequestThread:
    """Serves the requests of a worker; created on its main loop, and run on another loop.

    Objects shared by both loops are written on the main loop and read here.

    Attributes:
        settings: settings of the worker.
        snapshots: latest published blocks and neurons.
        signers: signers of each identity in the deployment.
        addresses: addresses of the hotkeys that this worker has opened.
        metrics: metrics of the worker.
        guard: checks the genesis of each node.
        write_health: records failed writes to JetStream.
        on_connect: called on this server's loop with its connection to NATS.
        on_job: called on this server's loop with each job that was accepted or changed.
        connection: connection to NATS; None until it exists.
        service: subscriptions to requests; None until they exist.
    """

    settings: WorkerSettings
    snapshots: Snapshots
    signers: SignerDirectory
    addresses: Mapping[IdentityName, Hotkey]
    metrics: WorkerMetrics
    guard: ChainGuard
    write_health: WriteHealth
    on_connect: Callable[[NatsConnection], object]
    on_job: Callable[[Job], object]
    connection: NatsConnection | None = None
    service: RequestServer | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    _chain: RoutedChain | None = None

    def observe_head(self, head: BlockNumber) -> None:
        """Set the head of the chain, from which the ages of blocks are counted."""
        if self._chain is not None:
            self._chain.observe_head(head)

    def stop(self) -> None:
        """Accept no further request; `run` returns when the requests in progress have ended."""
        self._stopping.set()

    async def run(self, ready: Callable[[], object]) -> None:
        """Serve requests until `stop`; after a failure it may be run again.

        Args:
            ready: called when NATS delivers requests here.

        Raises:
            FailureError: FORBIDDEN where NATS refuses the subscriptions.
            WorkerError: NATS cannot be reached, or its connection closed permanently.
        """
        async with AsyncExitStack() as stack:
            chain = self._chain = create_chain(self.settings, self.metrics, self.guard)
            if self.snapshots.head is not None:
                chain.observe_head(self.snapshots.head)
            stack.push_async_callback(chain.close)
            writer = create_chain_writer(self.settings, self.guard)
            stack.push_async_callback(writer.close)
            connection = self.connection = await connect_worker(
                self.settings, "pylon worker requests"
            )
            stack.push_async_callback(connection.close)
            self.on_connect(connection)
            absent = AbsentSignerHandlers(self.signers, self.settings.identity_settings)
            service = self.service = self._build_service(connection, chain, writer, absent)
            self.metrics.watch_service(service)
            await service.start()
            if not self.settings.worker_role.signs:
                refresh = asyncio.create_task(absent.run(service), name="absent signers")
                stack.callback(refresh.cancel)
            ready()
            await _wait_for_any(self._stopping, connection.closed, service.subscription_denied)
            if service.denied_error is not None:
                raise service.denied_error
            if not self._stopping.is_set():
                raise WorkerError("NATS connection closed permanently; see the log for the cause")
            logger.info("Stopping: answering %d requests in progress", service.in_progress)
            await service.drain(self.settings.drain_timeout_seconds)
            await connection.drain()

    def _build_service(
        self,
        connection: NatsConnection,
        chain: RoutedChain,
        writer: SubtensorWriter,
        absent: AbsentSignerHandlers,
    ) -> RequestServer:
        settings = self.settings
        netuids = {name: of.netuid for name, of in settings.identity_settings.items()}
        role = settings.worker_role
        cache = ReadCache()
        self.metrics.watch_cache(cache)
        reads = ReadHandlers(
            self.snapshots,
            ChainReader(chain, chain_timeout_s=settings.chain_timeout_seconds, cache=cache),
            RecentNeurons(
                self.snapshots,
                tracked=settings.netuids,
                hard_limit_blocks=settings.recent_objects_hard_limit_blocks,
                block_duration_s=settings.block_duration_seconds,
            ),
            identities=netuids,
            addresses=resolve_addresses(
                settings.bittensor_wallet_path, settings.identity_settings, opened=self.addresses
            ),
        )
        service = RequestServer(
            connection,
            identities=netuids,
            max_requests=settings.max_requests,
            subjects=_request_subjects(settings),
        )
        reads.register(service)
        ReplayHandlers(open_stored_events(settings, connection)).register(service)
        if role.signs:
            self._register_jobs(service, connection, writer, reads)
        else:
            absent.register(service)
        return service

    def _register_jobs(
        self,
        service: RequestServer,
        connection: NatsConnection,
        writer: SubtensorWriter,
        reads: ReadHandlers,
    ) -> None:
        events = JobEventPublisher(connection)

        async def announce(job: Job) -> None:
            self.on_job(job)
            await events.publish(job)

        store = JobStore(
            OrderedBucket(connection, JOBS_BUCKET, self.write_health),
            announce,
            ended_retention_days=self.settings.ended_jobs_kept_days,
        )
        acceptor = JobAcceptor(
            store,
            WorkQueue(connection, self.write_health),
            writer,
            self.signers,
            require_storage=lambda: self.write_health.require_writable(
                JOB_STORE.name, JOB_QUEUE.name
            ),
            newest_head=lambda: self.snapshots.head,
        )
        waiter = JobWaiter(store, partial(subscribe_jobs, connection))
        job_handlers = JobHandlers(acceptor, store, self.signers, writer, waiter)
        job_handlers.register(service)
        read_status = partial(reads.read, WEIGHTS_STATUS_SPEC)
        service.add(WEIGHTS_STATUS, WeightsStatusHandler(store, writer, read_status).handle)


def _request_subjects(settings: WorkerSettings) -> tuple[str, ...]:
    """Return the subjects of the requests that a worker of this role serves."""
    role = settings.worker_role
    if role is WorkerRole.ALL:
        return ALL_REQUESTS
    if role.signs:
        return (*map(requests_of_all_identities, sorted(JOB_OPERATIONS)), ALL_REPLAYS)
    of_identities = {each.name for each in NATS_OPERATIONS if Scope.IDENTITY in each.scopes}
    of_readers = sorted(of_identities - JOB_OPERATIONS)
    replays = () if settings.uses_reader_user else (ALL_REPLAYS,)
    return (ALL_OPEN, *map(requests_of_all_identities, of_readers), *replays)


async def _wait_for_any(*events: asyncio.Event) -> None:
    """Return when one of the events is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
