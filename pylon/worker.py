"""One chain worker: it answers reads, and publishes every block when that is its turn."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

from pylon.blocks.heads import Heads
from pylon.blocks.last_published import LastPublished
from pylon.blocks.snapshots import Snapshots, snapshot_of
from pylon.identities import OpenedHotkeys, open_hotkeys
from pylon.jobs.office import JobOffice
from pylon.jobs.signers import SignerDirectory, announce_signers
from pylon.loop_thread import LoopThread
from pylon.messaging.job_events import JobEvents
from pylon.messaging.provision import ProvisionError, provision
from pylon.messaging.signer_events import SignerEvents
from pylon.messaging.write_health import WriteHealth
from pylon.observe.health import HealthServer, WorkerHealth
from pylon.observe.jobs import JobCensus, JobMetrics
from pylon.observe.memory import exceeded
from pylon.observe.metrics import WorkerMetrics
from pylon.publishing import Publishing
from pylon.request_server import RequestServer
from pylon.settings import WorkerSettings
from pylon.worker_parts import WorkerError, chain_of, connect_worker, stored_events, submission_of
from pylon_client.contract import wire
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber
from pylon_client.service.redaction import REDACTOR, secrets_of
from pylon_client.service.sentry import set_up_sentry
from pylon_client.service.supervisor import Supervisor
from pylon_client.service.variables import report_variables
from pylon_client.transport.connection import Connection
from pylon_client.transport.feed import EventFeed

logger = logging.getLogger(__name__)

T = TypeVar("T")
Part = Callable[[], Coroutine[Any, Any, None]]
"""Runs a part of the worker until it is cancelled."""

READY_HEAD_BLOCKS: Final = 5
"""Blocks that a ready worker's view of the head, and what is published, may be behind the chain."""
END_TIMEOUT_S: Final = 10.0
JOBS: Final = "jobs"
REQUESTS: Final = "requests"
MIB: Final = 2**20
PUBLISHER_CACHE_BYTES: Final = 4 * MIB
"""Size of the cache through which snapshots are read; each of them is read for publishing once."""
JOBS_STOP_S: Final = 4.0
"""How long a stop waits for the jobs in hand before they are handed back to the queue."""
POLL_AFTER_S: Final = 12.0
"""A block's time on the real chain."""


async def run_worker(settings: WorkerSettings) -> None:
    """Run one worker until SIGTERM or SIGINT; then finish what is in hand, and return.

    Raises:
        WorkerError: it cannot start, or NATS has ended its connection for good.
    """
    REDACTOR.learn(secrets_of(settings))
    set_up_sentry(settings, "worker")
    report_variables(settings)
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
        self.metrics: Final = WorkerMetrics(settings.worker_role)
        self.chain: Final = chain_of(settings, self.metrics)
        self.snapshots: Final = Snapshots(max_silence_s=settings.head_silence_s)
        self.metrics.watch_head(self.snapshots)
        self._published = LastPublished()
        self._writes = WriteHealth()
        self.metrics.watch_writes(self._writes)
        self._settings = settings
        self._submission = submission_of(settings)
        self._health = WorkerHealth(
            self.snapshots,
            self._published,
            self._writes,
            head_max_age_s=READY_HEAD_BLOCKS * settings.block_duration_seconds,
            head_max_lag_blocks=READY_HEAD_BLOCKS,
        )
        self._supervisor = self._health.supervisor = Supervisor(_is_forbidden)
        self.metrics.watch_parts(self._supervisor)
        self._signers = SignerDirectory(settings.identity_settings, settings.signer_grace_seconds)
        self._health.signers = self._signers
        self.metrics.watch_signers(self._signers.problems)
        self._forward_head: Callable[[BlockNumber], None] = lambda _: None
        self._heads = Heads(
            self.chain,
            heard_of=self._observe_head,
            silence_s=settings.head_silence_s,
            poll_after_s=min(POLL_AFTER_S, settings.head_silence_s / 3),
            chain_timeout_s=settings.chain_timeout_s,
            block_duration_s=settings.block_duration_seconds,
        )

    def _observe_head(self, head: BlockNumber) -> None:
        self.chain.observe_head(head)
        self.snapshots.heard_of(head)
        self._forward_head(head)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then answer what is in hand, and close everything.

        Raises:
            WorkerError: it cannot start, or NATS has ended its connection for good.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.chain.close)
            stack.push_async_callback(self._submission.close)
            await self._show_health(stack)
            connection = await _until(stop, connect_worker(self._settings, "pylon worker"))
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
        if settings.health_port is not None:
            await self._listen(stack, settings.health_host, settings.health_port)
        if settings.worker_health_socket is not None:
            await self._listen(stack, settings.worker_health_socket)

    async def _listen(self, stack: AsyncExitStack, host: str | Path, port: int = 0) -> None:
        """Answer probes and show metrics at an address or a Unix socket."""
        server = HealthServer(
            host,
            port,
            health=self._health,
            metrics=self.metrics,
            metrics_token=self._settings.metrics_token,
        )
        try:
            await stack.enter_async_context(server)
        except OSError as error:
            place = str(host) if isinstance(host, Path) else f"{host} port {port}"
            raise WorkerError(f"it cannot listen on {place}: {error.strerror or error}") from None

    def _jobs(
        self, connection: Connection, hotkeys: OpenedHotkeys, measured: JobMetrics
    ) -> tuple[JobOffice, dict[str, Part]]:
        """Return what works on jobs, for signers, and its parts."""
        events = JobEvents(connection)

        async def announce(job: Job) -> None:
            measured.saw(job)
            await events.announce(job)

        office = JobOffice(
            connection,
            self._settings,
            self._submission,
            hotkeys.signers,
            self._signers,
            announce,
            self._supervisor,
            self._writes,
        )
        census = JobCensus(
            self.metrics, office.identities, office.ledger, head=lambda: self.snapshots.head
        )
        publish = SignerEvents(connection).publish
        return office, {
            JOBS: office.run,
            "count of jobs": census.run,
            "signers": lambda: announce_signers(hotkeys.announcements, publish),
        }

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
        measured = JobMetrics(self.metrics, hotkeys.addresses)
        await SignerEvents(connection).subscribe(self._signers.observe)
        for identity, announcement in hotkeys.announcements.items():
            self._signers.observe(identity, wire.encode(announcement))
        parts: dict[str, Part] = {
            "snapshots": lambda: self._keep_snapshots(connection),
            "heads": self._heads.run,
        }
        if not self._settings.is_confined:
            publishing = Publishing(
                self._settings,
                self.chain,
                self._heads,
                self.snapshots,
                self.metrics,
                connection,
                self._published,
                self._writes,
            )
            self.metrics.watch_published(self._published)
            self._health.streams = publishing.streams
            self._health.leadership = publishing.leadership
            parts |= publishing.parts
        office: JobOffice | None = None
        if self._settings.worker_role.signs:
            office, of_jobs = self._jobs(connection, hotkeys, measured)
            parts |= of_jobs
        main = asyncio.get_running_loop()
        server = self._health.requests = RequestServer(
            self._settings,
            self.snapshots,
            self._signers,
            hotkeys.addresses,
            self.metrics,
            self._writes,
            on_connect=lambda own: self.metrics.watch_nats(connection, own),
            on_job=lambda job: main.call_soon_threadsafe(measured.saw, job),
        )
        async with LoopThread(REQUESTS) as thread:
            self._health.request_loop = thread
            self._forward_head = lambda head: thread.call(server.observe_head, head)
            parts[REQUESTS] = lambda: thread.run(
                server.run(lambda: main.call_soon_threadsafe(self._is_ready))
            )
            tasks = {name: self._part(name, run) for name, run in parts.items()}
            background = self._health.essential = set(tasks.values())
            signs = {
                asyncio.create_task(stop.wait(), name="stop"),
                asyncio.create_task(connection.closed.wait(), name="end of NATS"),
                self._part("memory limit", self._outgrown),
            }
            try:
                await asyncio.wait(background | signs, return_when=asyncio.FIRST_COMPLETED)
                if connection.closed.is_set() and not stop.is_set():
                    raise WorkerError("NATS has ended the connection for good; the log says why")
                for task in background:
                    if task.done():
                        task.result()
                # Requests in progress may still need the chain and the snapshots.
                if office is not None:
                    office.stop()
                thread.call(server.stop)
                await asyncio.wait({tasks[REQUESTS]}, timeout=2 * self._settings.drain_timeout_s)
                if office is not None:
                    # A job that takes longer than the chain's next blocks is handed back.
                    await asyncio.wait({tasks[JOBS]}, timeout=JOBS_STOP_S)
            finally:
                await _ended(background | signs)

    def _is_ready(self) -> None:
        self.ready.set()
        netuids = ", ".join(map(str, self._settings.netuids)) or "none"
        logger.info("The worker is ready; tracked subnets: %s", netuids)

    def _part(self, name: str, run: Part) -> asyncio.Task[None]:
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

    async def _provision(self, connection: Connection) -> bool:
        if self._settings.is_confined:
            return True  # a signer makes the streams
        await provision(connection, replicas=self._settings.nats_stream_replicas)
        return True

    async def _keep_snapshots(self, connection: Connection) -> None:
        subjects = [str(BlockEventSubject())]
        subjects += [str(NeuronsEventSubject(netuid)) for netuid in self._settings.netuids]
        stored = stored_events(self._settings, connection)
        async with EventFeed(connection, subjects, stored) as feed:
            async for event in feed:
                if (snapshot := snapshot_of(event)) is not None:
                    self.snapshots.keep(event.subject, snapshot)
                    if self._settings.is_confined and event.subject == str(BlockEventSubject()):
                        self._published.observe(event.block.number)  # it may not ask the stream


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
