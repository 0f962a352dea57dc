"""Composition of a chain worker: reads, publishing, jobs, health and metrics."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final

from pylon.blocks.head_tracker import HeadTracker
from pylon.blocks.last_published import LastPublished
from pylon.blocks.snapshots import Snapshots
from pylon.common.redaction import REDACTOR, collect_secrets
from pylon.common.sentry import set_up_sentry
from pylon.common.task_supervisor import TaskSupervisor
from pylon.common.tasks import cancel_and_wait, run_until_stopped
from pylon.common.variable_checks import check_variables
from pylon.events.signer_events import SignerEvents
from pylon.jetstream.provision import ProvisionError, provision_streams
from pylon.jetstream.write_health import WriteHealth
from pylon.jobs.signer_directory import SignerDirectory
from pylon.worker.backends import (
    WorkerError,
    connect_worker,
    create_binder,
    create_chain,
    create_chain_writer,
    create_guard,
)
from pylon.worker.binding.chain_binder import ChainBinder, ForeignStateError
from pylon.worker.health import WorkerHealth
from pylon.worker.identities import OpenedHotkeys, open_hotkeys
from pylon.worker.job_metrics import JobMetrics
from pylon.worker.loop_thread import LoopThread
from pylon.worker.memory import wait_for_memory_limit
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.probes import serve_health
from pylon.worker.publishing import PublishingParts
from pylon.worker.request_thread import RequestThread
from pylon.worker.settings import WorkerSettings
from pylon.worker.signing import JOBS_PART, SigningParts
from pylon.worker.snapshot_updater import SnapshotUpdater
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

PartRunner = Callable[[], Coroutine[Any, Any, None]]
"""Runs a part of the worker until it is cancelled."""

READY_MAX_LAG_BLOCKS: Final = 5
"""Maximum age of the head and maximum lag of published blocks of a ready worker, in blocks."""
REQUESTS_PART: Final = "requests"
JOBS_STOP_TIMEOUT_S: Final = 4.0
"""Time to finish jobs in progress at a stop, in seconds; then they are returned to the queue."""
MAX_POLL_AFTER_S: Final = 12.0
"""Maximum time without a head before the node is polled, in seconds: mainnet's block time."""


async def run_worker(settings: WorkerSettings) -> None:
    """Run one worker until SIGTERM or SIGINT; then finish requests and jobs in progress.

    Raises:
        WorkerError: it cannot start, or its NATS connection closed permanently.
    """
    REDACTOR.add_secrets(collect_secrets(settings))
    set_up_sentry(settings, "worker")
    check_variables(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await Worker(settings).run(stop)


class Worker:
    """The composition of one worker.

    Attributes:
        ready: set when the worker serves requests.
        chain: the chain to read, with old blocks from the archive node.
        snapshots: latest published blocks and neurons.
        metrics: metrics of the worker.
        guard: refuses nodes of another chain than the state's.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        """Create the parts that need no connection.

        Raises:
            WorkerError: the SDK does not know a network's name.
        """
        self.ready = asyncio.Event()
        self.metrics: Final = WorkerMetrics(settings.worker_role)
        self.guard: Final = create_guard(settings)
        self.chain: Final = create_chain(settings, self.metrics, self.guard)
        self.snapshots: Final = Snapshots(max_silence_s=settings.head_silence_seconds)
        self.metrics.watch_head(self.snapshots)
        self._last_published = LastPublished()
        self._write_health = WriteHealth()
        self.metrics.watch_writes(self._write_health)
        self._settings = settings
        self._chain_writer = create_chain_writer(settings, self.guard)
        self._health = WorkerHealth(
            self.snapshots,
            self._last_published,
            self._write_health,
            guard=self.guard,
            head_max_age_s=READY_MAX_LAG_BLOCKS * settings.block_duration_seconds,
            head_max_lag_blocks=READY_MAX_LAG_BLOCKS,
        )
        self._supervisor = self._health.supervisor = TaskSupervisor(_is_fatal)
        self.metrics.watch_parts(self._supervisor)
        self._signer_directory = SignerDirectory(
            settings.identity_settings, settings.signer_grace_seconds
        )
        self._health.signer_directory = self._signer_directory
        self.metrics.watch_signers(self._signer_directory.problem_codes)
        self._forward_head: Callable[[BlockNumber], None] = lambda _: None
        self._head_tracker = HeadTracker(
            self.chain,
            observe_head=self._observe_head,
            silence_s=settings.head_silence_seconds,
            poll_after_s=min(MAX_POLL_AFTER_S, settings.head_silence_seconds / 3),
            chain_timeout_s=settings.chain_timeout_seconds,
            block_duration_s=settings.block_duration_seconds,
        )

    def _observe_head(self, head: BlockNumber) -> None:
        self.chain.observe_head(head)
        self.snapshots.observe_head(head)
        self._forward_head(head)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; then finish requests and jobs in progress, and close.

        Raises:
            WorkerError: it cannot start, or its NATS connection closed permanently.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.chain.close)
            stack.push_async_callback(self._chain_writer.close)
            await serve_health(stack, self._settings, self._health, self.metrics)
            connection = await run_until_stopped(
                stop, connect_worker(self._settings, "pylon worker")
            )
            if connection is None:
                return
            stack.push_async_callback(connection.close)
            self._health.connection = connection
            self.metrics.watch_nats(connection)
            try:
                if await run_until_stopped(stop, self._provision(connection)) is None:
                    return
                binder = create_binder(self._settings, self.guard, connection)
                if (
                    binder is not None
                    and await run_until_stopped(stop, _start_binder(binder)) is None
                ):
                    return
                await self._serve(connection, binder, stop)
            except (ProvisionError, ForeignStateError) as error:
                raise WorkerError(str(error)) from error

    async def _serve(
        self, connection: NatsConnection, binder: ChainBinder | None, stop: asyncio.Event
    ) -> None:
        try:
            await self._run(connection, binder, stop)
        except FailureError as error:
            if error.code is not ErrorCode.FORBIDDEN:
                raise
            raise WorkerError(
                f"NATS denies a permission that a worker needs: {error.failure.detail} Generate "
                "the NATS users with `pylon nats-conf`."
            ) from error
        await connection.drain()
        logger.info("Stopped")

    async def _run(
        self, connection: NatsConnection, binder: ChainBinder | None, stop: asyncio.Event
    ) -> None:
        hotkeys = self._open_hotkeys()
        job_metrics = JobMetrics(self.metrics, hotkeys.addresses)
        await SignerEvents(connection).subscribe(self._signer_directory.observe)
        for identity, announcement in hotkeys.announcements.items():
            self._signer_directory.observe(identity, json_codec.encode(announcement))
        snapshot_updater = SnapshotUpdater(
            self._settings, self.snapshots, self.guard, self._last_published
        )
        parts: dict[str, PartRunner] = {
            "snapshots": lambda: snapshot_updater.run(connection),
            "heads": self._head_tracker.run,
        }
        if binder is not None:
            publishing = PublishingParts(
                self._settings,
                self.chain,
                self._head_tracker,
                self.snapshots,
                self.metrics,
                connection,
                self.guard,
                self._last_published,
                self._write_health,
            )
            self.metrics.watch_published(self._last_published)
            parts["binding to the chain"] = binder.run
            self._health.stream_monitor = publishing.streams
            self._health.leadership = publishing.leadership
            snapshot_updater.on_event = publishing.shares.observe
            parts |= publishing.parts
        signing: SigningParts | None = None
        if self._settings.worker_role.signs:
            signing = SigningParts(
                self._settings,
                self._chain_writer,
                connection,
                hotkeys,
                self._signer_directory,
                self._supervisor,
                self.snapshots,
                self.metrics,
                job_metrics,
                self._write_health,
            )
            parts |= signing.parts
        main_loop = asyncio.get_running_loop()
        memory_limit_mib = self._settings.worker_memory_limit_mib
        request_thread = self._health.request_thread = RequestThread(
            self._settings,
            self.snapshots,
            self._signer_directory,
            hotkeys.addresses,
            self.metrics,
            self.guard,
            self._write_health,
            on_connect=lambda own: self.metrics.watch_nats(connection, own),
            on_job=lambda job: main_loop.call_soon_threadsafe(job_metrics.observe, job),
        )
        async with LoopThread(REQUESTS_PART) as loop_thread:
            self._health.request_loop = loop_thread
            self._forward_head = lambda head: loop_thread.call_soon(
                request_thread.observe_head, head
            )
            parts[REQUESTS_PART] = lambda: loop_thread.run(
                request_thread.run(lambda: main_loop.call_soon_threadsafe(self._on_ready))
            )
            tasks = {name: self._start_part(name, run) for name, run in parts.items()}
            part_tasks = self._health.essential_tasks = set(tasks.values())
            stop_triggers = {
                asyncio.create_task(stop.wait(), name="stop"),
                asyncio.create_task(connection.closed.wait(), name="end of NATS"),
                self._start_part("memory limit", lambda: wait_for_memory_limit(memory_limit_mib)),
            }
            try:
                await asyncio.wait(part_tasks | stop_triggers, return_when=asyncio.FIRST_COMPLETED)
                if connection.closed.is_set() and not stop.is_set():
                    raise WorkerError(
                        "NATS connection closed permanently; see the log for the cause"
                    )
                for task in part_tasks:
                    if task.done():
                        task.result()
                # Requests in progress may still need the chain and the snapshots.
                if signing is not None:
                    signing.job_service.stop()
                loop_thread.call_soon(request_thread.stop)
                await asyncio.wait(
                    {tasks[REQUESTS_PART]}, timeout=2 * self._settings.drain_timeout_seconds
                )
                if signing is not None:
                    # Jobs that need more blocks are returned to the queue.
                    await asyncio.wait({tasks[JOBS_PART]}, timeout=JOBS_STOP_TIMEOUT_S)
            finally:
                await cancel_and_wait(part_tasks | stop_triggers)

    def _on_ready(self) -> None:
        self.ready.set()
        netuids = ", ".join(map(str, self._settings.netuids)) or "none"
        logger.info("The worker is ready; tracked subnets: %s", netuids)

    def _start_part(self, name: str, run: PartRunner) -> asyncio.Task[None]:
        return asyncio.create_task(self._supervisor.supervise(name, run), name=name)

    def _open_hotkeys(self) -> OpenedHotkeys:
        settings = self._settings
        if not settings.worker_role.signs:
            return OpenedHotkeys()
        hotkeys = open_hotkeys(settings.bittensor_wallet_path, settings.identity_settings)
        self._health.problems = [
            f"identity {name} cannot write: {problem}" for name, problem in hotkeys.problems.items()
        ]
        return hotkeys

    async def _provision(self, connection: NatsConnection) -> bool:
        if self._settings.uses_reader_user:
            return True  # signers create the streams
        await provision_streams(connection, replicas=self._settings.nats_stream_replicas)
        return True


def _is_fatal(error: Exception) -> bool:
    """Return whether a restart of a part cannot help: denied by NATS, or another chain."""
    if isinstance(error, ForeignStateError):
        return True
    return isinstance(error, FailureError) and error.code is ErrorCode.FORBIDDEN


async def _start_binder(binder: ChainBinder) -> bool:
    await binder.start()
    return True
