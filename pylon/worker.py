"""One chain worker: it answers reads, and publishes every block when that is its turn."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from typing import Any, Final, TypeVar

from pylon.addresses import known_addresses
from pylon.blocks.heads import Heads
from pylon.blocks.leadership import Leadership
from pylon.blocks.pauses import Pauses
from pylon.blocks.publisher import BlockPublisher
from pylon.blocks.replay import ReplayHandlers
from pylon.blocks.snapshots import Snapshots, snapshot_of
from pylon.blocks.watcher import Watcher
from pylon.chain.archive import ArchiveRouting
from pylon.chain.connection import Patience
from pylon.chain.port import Chain
from pylon.chain.submission import Submission
from pylon.chain.subtensor import Subtensor
from pylon.identities import OpenedHotkeys, open_hotkeys
from pylon.jobs.office import JobOffice
from pylon.jobs.signers import SignerDirectory, announce_signers
from pylon.jobs.weights_status import WeightsStatusHandler
from pylon.messaging.bucket import Bucket
from pylon.messaging.events import JetStreamEvents
from pylon.messaging.job_events import JobEvents
from pylon.messaging.kept import KeptInStream
from pylon.messaging.lease import Leases
from pylon.messaging.provision import ProvisionError, provision
from pylon.messaging.service import Service
from pylon.messaging.signer_events import SignerEvents
from pylon.messaging.stream_keeper import StreamKeeper
from pylon.observe.chain import MeasuredChain
from pylon.observe.health import HealthServer, WorkerHealth
from pylon.observe.jobs import JobCensus, JobMetrics
from pylon.observe.memory import exceeded
from pylon.observe.metrics import WorkerMetrics
from pylon.published_settings import warn_of_published_settings
from pylon.reads.cache import ReadCache
from pylon.reads.handlers import ReadHandlers
from pylon.reads.reader import ChainReader
from pylon.reads.recent import RecentNeurons
from pylon.settings import WorkerSettings
from pylon_client.contract import wire
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job
from pylon_client.contract.models import Block
from pylon_client.contract.reads import WEIGHTS_STATUS
from pylon_client.contract.subjects import WORKER_USER, BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.topology import LEADERSHIP_BUCKET, LEADERSHIP_TTL_S
from pylon_client.service.redaction import REDACTOR, secrets_of
from pylon_client.service.sentry import set_up_sentry
from pylon_client.service.supervisor import Supervisor
from pylon_client.transport.connection import Connection, ConnectionOptions, connect
from pylon_client.transport.feed import EventFeed

logger = logging.getLogger(__name__)

T = TypeVar("T")

NATS_WAIT_S: Final = 60.0
"""For so long a worker waits for NATS to appear: whoever starts both starts them at once."""
READY_HEAD_BLOCKS: Final = 5
"""Blocks that a ready worker's view of the head, and what is published, may be behind the chain."""
END_TIMEOUT_S: Final = 10.0
MIB: Final = 2**20
JOBS_STOP_S: Final = 4.0
"""How long a stop waits for the jobs in hand before they are handed back to the queue."""
POLL_AFTER_S: Final = 12.0
"""A block's time on the real chain."""


class WorkerError(Exception):
    """Why a worker cannot run, in words for whoever runs it."""


async def run_worker(settings: WorkerSettings) -> None:
    """Run one worker until SIGTERM or SIGINT; then finish what is in hand, and return.

    Raises:
        WorkerError: it cannot start, or NATS has ended its connection for good.
    """
    REDACTOR.learn(secrets_of(settings))
    set_up_sentry(settings, "worker")
    warn_of_published_settings()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await Worker(settings).run(stop)


class Worker:
    """The parts of one worker, put together.

    Attributes:
        ready: set when it answers requests.
        chain: the chain it reads, old blocks from the archive.
        snapshots: what "latest" is answered from.
        metrics: what it tells of itself.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        """Read the settings; nothing is connected yet.

        Raises:
            WorkerError: a network's name is none that the SDK knows.
        """
        self.ready = asyncio.Event()
        self.metrics: Final = WorkerMetrics()
        self.chain: Final = _chain(settings, self.metrics)
        self.snapshots: Final = Snapshots(max_silence_s=settings.head_silence_s)
        self.metrics.watch_head(self.snapshots)
        self._settings = settings
        self._submission = Submission(
            settings.bittensor_network,
            settings.bittensor_archive_network,
            archive_cutoff_blocks=settings.bittensor_archive_blocks_cutoff,
            timeout_s=settings.chain_timeout_s,
        )
        self._health = WorkerHealth(
            self.snapshots,
            head_max_age_s=READY_HEAD_BLOCKS * settings.block_duration_seconds,
            head_max_lag_blocks=READY_HEAD_BLOCKS,
        )
        self._supervisor = self._health.supervisor = Supervisor(_is_forbidden)
        self.metrics.watch_parts(self._supervisor)
        self._signers = SignerDirectory(settings.identity_settings, settings.signer_grace_seconds)
        self._health.signers = self._signers
        self.metrics.watch_signers(self._signers.problems)
        cache = ReadCache()
        self.metrics.watch_cache(cache)
        self._reader = ChainReader(
            self.chain, chain_timeout_s=settings.chain_timeout_s, cache=cache
        )
        self._heads = Heads(
            self.chain,
            heard_of=self.snapshots.heard_of,
            silence_s=settings.head_silence_s,
            poll_after_s=min(POLL_AFTER_S, settings.head_silence_s / 3),
            chain_timeout_s=settings.chain_timeout_s,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then answer what is in hand, and close everything.

        Raises:
            WorkerError: it cannot start, or NATS has ended its connection for good.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.chain.close)
            stack.push_async_callback(self._submission.close)
            await self._show_health(stack)
            connection = await _until(stop, self._connect())
            if connection is None:
                return
            stack.push_async_callback(connection.close)
            self._health.connection = connection
            self.metrics.watch_nats(connection)
            try:
                if await _until(stop, self._provision(connection)) is None:
                    return
                await self._serve(connection, stop)
            except ProvisionError as error:
                raise WorkerError(str(error)) from error

    async def _show_health(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        if settings.health_port is None:
            return
        server = HealthServer(
            settings.health_host,
            settings.health_port,
            health=self._health,
            metrics=self.metrics,
            metrics_token=settings.metrics_token,
        )
        try:
            await stack.enter_async_context(server)
        except OSError as error:
            place = f"{settings.health_host} port {settings.health_port}"
            raise WorkerError(f"it cannot listen on {place}: {error.strerror}") from None

    def _office(
        self, connection: Connection, hotkeys: OpenedHotkeys, leadership: Leadership
    ) -> JobOffice:
        measured = JobMetrics(self.metrics, hotkeys.addresses)
        events = JobEvents(connection)

        async def announce(job: Job) -> None:
            measured.saw(job)
            await events.announce(job)

        return JobOffice(
            connection,
            self._settings,
            self._submission,
            hotkeys.signers,
            self._signers,
            announce,
            lambda: leadership.is_leader,
            self._supervisor,
        )

    def _service(
        self, connection: Connection, office: JobOffice, hotkeys: OpenedHotkeys
    ) -> Service:
        settings = self._settings
        netuid_by_identity = {name: of.netuid for name, of in settings.identity_settings.items()}
        reads = ReadHandlers(
            self.snapshots,
            self._reader,
            RecentNeurons(
                self.snapshots,
                tracked=settings.netuids,
                hard_limit_blocks=settings.recent_objects_hard_limit_blocks,
                block_duration_s=settings.block_duration_seconds,
            ),
            identities=netuid_by_identity,
            addresses=known_addresses(
                settings.bittensor_wallet_path,
                settings.identity_settings,
                opened=hotkeys.addresses,
            ),
        )
        replay = ReplayHandlers(KeptInStream(connection))
        weights_status = WeightsStatusHandler(office.ledger, self._submission, reads.read)
        return Service(
            connection,
            reads.by_operation
            | replay.by_operation
            | office.desk.by_operation
            | {WEIGHTS_STATUS.name: weights_status.answer},
            identities=netuid_by_identity,
            max_requests=settings.max_requests,
        )

    async def _serve(self, connection: Connection, stop: asyncio.Event) -> None:
        try:
            await self._run(connection, stop)
        except FailureError as error:
            if error.code is not ErrorCode.FORBIDDEN:
                raise
            raise WorkerError(
                f"NATS does not give it what a worker needs: {error.failure.detail} Give NATS the "
                "users that `pylon nats-conf` makes."
            ) from error
        await connection.drain()
        logger.info("Stopped")

    async def _run(self, connection: Connection, stop: asyncio.Event) -> None:
        hotkeys = self._open_hotkeys()
        streams = self._health.streams = StreamKeeper(
            connection, replicas=self._settings.nats_stream_replicas
        )
        leadership = Leadership(
            Leases(Bucket(connection, LEADERSHIP_BUCKET), LEADERSHIP_TTL_S),
            self._heads,
            lambda: self._publish(connection),
        )
        office = self._office(connection, hotkeys, leadership)
        service = self._health.service = self._service(connection, office, hotkeys)
        self.metrics.watch_service(service)
        signer_events = SignerEvents(connection)
        await signer_events.subscribe(self._signers.observe)
        for identity, announcement in hotkeys.announcements.items():
            self._signers.observe(identity, wire.encode(announcement))
        self.metrics.publishing.read = lambda: {(): float(leadership.is_leader)}
        jobs = self._part("jobs", office.run)
        census = JobCensus(
            self.metrics, office.identities, office.ledger, head=lambda: self.snapshots.head
        )
        background = {
            jobs,
            self._part("count of jobs", census.run),
            self._part("snapshots", lambda: self._keep_snapshots(connection)),
            self._part("heads", self._heads.run),
            self._part("events", leadership.run),
            self._part("streams", streams.run),
            self._part(
                "signers", lambda: announce_signers(hotkeys.announcements, signer_events.publish)
            ),
        }
        self._health.essential = background
        signs = {
            asyncio.create_task(stop.wait(), name="stop"),
            asyncio.create_task(connection.closed.wait(), name="end of NATS"),
            asyncio.create_task(service.refused.wait(), name="refusal"),
            self._part("memory limit", self._outgrown),
        }
        try:
            await service.start()
            self.ready.set()
            netuids = ", ".join(map(str, self._settings.netuids)) or "none"
            logger.info("The worker is ready; tracked subnets: %s", netuids)
            await asyncio.wait(background | signs, return_when=asyncio.FIRST_COMPLETED)
            if connection.closed.is_set() and not stop.is_set():
                raise WorkerError("NATS has ended the connection for good; the log says why")
            if service.refusal is not None:
                raise service.refusal
            for task in background:
                if task.done():
                    task.result()
            logger.info("Stopping: answering %d requests in hand", service.in_hand)
            # Answers in hand may still need the chain and the snapshots.
            office.stop()
            await service.drain(self._settings.drain_timeout_s)
            # A job that takes longer than the chain's next blocks is handed back.
            await asyncio.wait({jobs}, timeout=JOBS_STOP_S)
        finally:
            await _ended(background | signs)

    def _part(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        return asyncio.create_task(self._supervisor.keep(name, run), name=name)

    def _open_hotkeys(self) -> OpenedHotkeys:
        settings = self._settings
        if not settings.worker_role.signs:
            return OpenedHotkeys()
        hotkeys = open_hotkeys(settings.bittensor_wallet_path, settings.identity_settings)
        self._health.problems = [
            f"identity {name} cannot write: {problem}" for name, problem in hotkeys.problems.items()
        ]
        return hotkeys

    async def _outgrown(self) -> None:
        limit_mib = self._settings.worker_memory_limit_mib
        if limit_mib is None:
            await asyncio.Event().wait()
            return
        held_bytes = await exceeded(limit_mib * MIB)
        logger.warning(
            "This worker holds %d MiB of memory, more than the %d of "
            "PYLON_WORKER_MEMORY_LIMIT_MIB: it stops, to be started afresh",
            held_bytes // MIB,
            limit_mib,
        )

    async def _connect(self) -> Connection:
        password = self._settings.nats_worker_password.get_secret_value()
        options = ConnectionOptions(
            urls=tuple(self._settings.nats_urls),
            user=WORKER_USER if password else None,
            password=password,
            name="pylon worker",
            inbox_user=WORKER_USER,
            tls=self._settings.nats_tls,
        )
        pauses = Pauses(first_s=0.1, longest_s=2.0)
        give_up_at_s = asyncio.get_running_loop().time() + NATS_WAIT_S
        while True:
            try:
                return await connect(options)
            except FailureError as error:
                late = asyncio.get_running_loop().time() > give_up_at_s
                if late or error.code is not ErrorCode.NATS_UNAVAILABLE:
                    raise WorkerError(error.failure.detail) from None
                logger.warning("Waiting for NATS: %s", error.failure.detail)
            await pauses.wait()

    async def _provision(self, connection: Connection) -> bool:
        await provision(connection, replicas=self._settings.nats_stream_replicas)
        return True

    async def _keep_snapshots(self, connection: Connection) -> None:
        subjects = [str(BlockEventSubject())]
        subjects += [str(NeuronsEventSubject(netuid)) for netuid in self._settings.netuids]
        async with EventFeed(connection, subjects, KeptInStream(connection)) as feed:
            async for event in feed:
                if (snapshot := snapshot_of(event)) is not None:
                    self.snapshots.keep(event.subject, snapshot)

    async def _publish(self, connection: Connection) -> None:
        publisher = BlockPublisher(
            self.chain,
            self._reader,
            JetStreamEvents(connection),
            self._settings.netuids,
            chain_timeout_s=self._settings.chain_timeout_s,
            seen=self._seen_published,
        )
        watcher = Watcher(self._heads, publisher.publish)
        last = await publisher.resume()
        logger.info("Publishing %s", "from now on" if last is None else f"after block {last}")
        async with asyncio.TaskGroup() as group:
            group.create_task(publisher.run())
            group.create_task(watcher.run(last))

    def _seen_published(self, subject: str) -> Block | None:
        """Return the block of the newest event of a subject that this worker has received.

        An event of a block after the head is of another chain, and left aside.
        """
        seen, head = self.snapshots.last(subject), self._heads.newest
        if seen is None or head is None or seen.block.number > head:
            return None
        return seen.block


def _chain(settings: WorkerSettings, metrics: WorkerMetrics) -> Chain:
    patience = Patience(operation_s=settings.chain_timeout_s)

    def node(network: str, role: str) -> Chain:
        subtensor = Subtensor(network, role=role, patience=patience)
        return MeasuredChain(subtensor, subtensor.place, metrics)

    try:
        lite = node(settings.bittensor_network, "The chain node")
        archive: Chain | None = None
        if settings.bittensor_archive_network:
            archive = node(settings.bittensor_archive_network, "The archive node")
    except ValueError as error:
        raise WorkerError(str(error)) from None
    return ArchiveRouting(
        lite,
        archive,
        settings.bittensor_archive_blocks_cutoff,
        on_fallback=lambda reason, operation: metrics.fallbacks.labels(reason, operation, "").inc(),
    )


def _is_forbidden(error: Exception) -> bool:
    """Return whether NATS refuses what a worker needs: no restart changes that."""
    return isinstance(error, FailureError) and error.code is ErrorCode.FORBIDDEN


async def _ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until all of them have ended."""
    for task in tasks:
        task.cancel()
    ended, _ = await asyncio.wait(tasks, timeout=END_TIMEOUT_S)
    await asyncio.gather(*ended, return_exceptions=True)  # what they failed of is known


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`; None, and no more of it, once `stop` is set."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        await _ended([working, stopping])
