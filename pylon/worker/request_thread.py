"""Requests, answered on a thread, an event loop and connections that serve nothing else.

A flood of requests then slows down requests alone: jobs, leases and publishing have the worker's
main loop and a connection to NATS that requests do not reach.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

from pylon.blocks.snapshots import Snapshots
from pylon.chain.archive_routing import ArchiveRouting
from pylon.chain.chain_guard import ChainGuard
from pylon.chain.chain_reader import ChainReader
from pylon.chain.subtensor_writer import Submission
from pylon.common.read_cache import ReadCache
from pylon.events.job_event_listener import on_changes_of_jobs
from pylon.events.job_event_publisher import JobEvents
from pylon.events.replay import ReplayHandlers
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.work_queue import WorkQueue
from pylon.jetstream.write_health import WriteHealth
from pylon.jobs.absent_signers import AbsentSigners
from pylon.jobs.acceptor import Intake
from pylon.jobs.job_handlers import JobDesk
from pylon.jobs.job_store import Ledger
from pylon.jobs.job_waiter import JobWaits
from pylon.jobs.signer_directory import SignerDirectory
from pylon.jobs.weights_status import WeightsStatusHandler
from pylon.reads.read_handlers import ReadHandlers
from pylon.reads.recent_neurons import RecentNeurons
from pylon.rpc.request_server import REQUESTS, Handler, Service
from pylon.wallets.addresses import known_addresses
from pylon.worker.backends import (
    WorkerError,
    chain_of,
    connect_worker,
    stored_events,
    submission_of,
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
from pylon_client.contract.topology import JOBS, JOBS_BUCKET, LEDGER
from pylon_client.contract.types import BlockNumber, Hotkey, IdentityName
from pylon_client.nats.nats_connection import Connection

logger = logging.getLogger(__name__)


@dataclass
class RequestServer:
    """Answers the requests of a worker; made on its main loop, and run on another.

    What is shared between the two loops is read here and written there.

    Attributes:
        settings: of the worker.
        snapshots: "latest" is answered from them.
        signers: for which identities any worker can sign.
        addresses: of the hotkeys that were opened here.
        metrics: of the worker.
        guard: checks the chain of each node.
        writes: records which writes JetStream stores.
        on_connect: called, on this server's loop, with the connection to NATS once it exists.
        on_job: the same with each job that was accepted or changed here.
        connection: to NATS, once it exists.
        service: the subscriptions, once they exist.
    """

    settings: WorkerSettings
    snapshots: Snapshots
    signers: SignerDirectory
    addresses: Mapping[IdentityName, Hotkey]
    metrics: WorkerMetrics
    guard: ChainGuard
    writes: WriteHealth
    on_connect: Callable[[Connection], object]
    on_job: Callable[[Job], object]
    connection: Connection | None = None
    service: Service | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    _chain: ArchiveRouting | None = None

    def observe_head(self, head: BlockNumber) -> None:
        """Note the head of the chain, from which the age of blocks is counted."""
        if self._chain is not None:
            self._chain.observe_head(head)

    def stop(self) -> None:
        """Take no further request; `run` returns when those in progress are answered."""
        self._stopping.set()

    async def run(self, ready: Callable[[], object]) -> None:
        """Answer requests until `stop`; after a failure it may be run again.

        Args:
            ready: called when NATS delivers requests here.

        Raises:
            FailureError: FORBIDDEN where NATS refuses the subscriptions.
            WorkerError: NATS cannot be reached, or has ended the connection for good.
        """
        async with AsyncExitStack() as stack:
            chain = self._chain = chain_of(self.settings, self.metrics, self.guard)
            if self.snapshots.head is not None:
                chain.observe_head(self.snapshots.head)
            stack.push_async_callback(chain.close)
            submission = submission_of(self.settings, self.guard)
            stack.push_async_callback(submission.close)
            connection = self.connection = await connect_worker(
                self.settings, "pylon worker requests"
            )
            stack.push_async_callback(connection.close)
            self.on_connect(connection)
            absent = AbsentSigners(self.signers, self.settings.identity_settings)
            service = self.service = self._service(connection, chain, submission, absent)
            self.metrics.watch_service(service)
            await service.start()
            if not self.settings.worker_role.signs:
                refusing = asyncio.create_task(absent.run(service), name="absent signers")
                stack.callback(refusing.cancel)
            ready()
            await _first(self._stopping, connection.closed, service.refused)
            if service.refusal is not None:
                raise service.refusal
            if not self._stopping.is_set():
                raise WorkerError("NATS has ended the connection for good; the log says why")
            logger.info("Stopping: answering %d requests in progress", service.in_hand)
            await service.drain(self.settings.drain_timeout_s)
            await connection.drain()

    def _service(
        self,
        connection: Connection,
        chain: ArchiveRouting,
        submission: Submission,
        absent: AbsentSigners,
    ) -> Service:
        settings = self.settings
        netuids = {name: of.netuid for name, of in settings.identity_settings.items()}
        role = settings.worker_role
        cache = ReadCache()
        self.metrics.watch_cache(cache)
        reads = ReadHandlers(
            self.snapshots,
            ChainReader(chain, chain_timeout_s=settings.chain_timeout_s, cache=cache),
            RecentNeurons(
                self.snapshots,
                tracked=settings.netuids,
                hard_limit_blocks=settings.recent_objects_hard_limit_blocks,
                block_duration_s=settings.block_duration_seconds,
            ),
            identities=netuids,
            addresses=known_addresses(
                settings.bittensor_wallet_path, settings.identity_settings, opened=self.addresses
            ),
        )
        return Service(
            connection,
            reads.by_operation
            | ReplayHandlers(stored_events(settings, connection)).by_operation
            | (self._jobs(connection, submission, reads) if role.signs else absent.by_operation),
            identities=netuids,
            max_requests=settings.max_requests,
            subjects=_subjects(settings),
        )

    def _jobs(
        self, connection: Connection, submission: Submission, reads: ReadHandlers
    ) -> dict[str, Handler]:
        events = JobEvents(connection)

        async def announce(job: Job) -> None:
            self.on_job(job)
            await events.announce(job)

        ledger = Ledger(
            OrderedBucket(connection, JOBS_BUCKET, self.writes),
            announce,
            ended_kept_days=self.settings.ended_jobs_kept_days,
        )
        intake = Intake(
            ledger,
            WorkQueue(connection, self.writes),
            submission,
            self.signers,
            require_storage=lambda: self.writes.require(LEDGER.name, JOBS.name),
        )
        waits = JobWaits(ledger, partial(on_changes_of_jobs, connection))
        desk = JobDesk(intake, ledger, self.signers, submission, waits)
        status = WeightsStatusHandler(ledger, submission, reads.read)
        return desk.by_operation | {WEIGHTS_STATUS.name: status.answer}


def _subjects(settings: WorkerSettings) -> tuple[str, ...]:
    """Return the subjects of the requests that a worker of this role answers."""
    role = settings.worker_role
    if role is WorkerRole.ALL:
        return REQUESTS
    if role.signs:
        return (*map(requests_of_all_identities, sorted(JOB_OPERATIONS)), ALL_REPLAYS)
    of_identities = {each.name for each in NATS_OPERATIONS if Scope.IDENTITY in each.scopes}
    of_readers = sorted(of_identities - JOB_OPERATIONS)
    replays = () if settings.is_confined else (ALL_REPLAYS,)
    return (ALL_OPEN, *map(requests_of_all_identities, of_readers), *replays)


async def _first(*events: asyncio.Event) -> None:
    """Return when one of the events is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
