"""The backends of a worker: its connections to the chain and to NATS."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from pylon.chain.archive_routing import RoutedChain
from pylon.chain.chain_guard import ChainGuard
from pylon.chain.endpoint_label import endpoint_label
from pylon.chain.node_connection import ConnectionTimeouts
from pylon.chain.node_probe import NodeProbe
from pylon.chain.port import Chain
from pylon.chain.subtensor_reader import SubtensorReader
from pylon.chain.subtensor_writer import SubtensorWriter
from pylon.events.event_log import EventLog
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.nats_server.worker_user import worker_connection_options
from pylon.worker.binding.chain_binder import ChainBinder
from pylon.worker.binding.remedy import mismatch_remedy, reader_mismatch_remedy
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.operation_timer import OperationTimer
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import ReplaySubject
from pylon_client.contract.topology import JOBS_BUCKET
from pylon_client.events.stored_events import EventLogReader, event_log_via_worker
from pylon_client.exponential_backoff import Backoff
from pylon_client.nats.nats_connection import NatsConnection, connect

logger = logging.getLogger(__name__)

NATS_START_TIMEOUT_S: Final = 60.0
"""Start-up timeout for NATS, in seconds; NATS and the worker usually start together."""


class WorkerError(Exception):
    """A worker cannot run; the text is for the operator."""


def create_guard(settings: WorkerSettings) -> ChainGuard:
    """Return the guard of a worker's connections to nodes, not bound to a chain yet.

    A reader without JetStream is bound by the events that the signers publish.
    """
    return ChainGuard(
        endpoint_label(settings.bittensor_network),
        reader_mismatch_remedy if settings.uses_reader_user else mismatch_remedy,
        needs_binding=not settings.uses_reader_user,
    )


def create_binder(
    settings: WorkerSettings, guard: ChainGuard, connection: NatsConnection
) -> ChainBinder | None:
    """Return the binder of the state to the chain; None for a reader without JetStream."""
    if settings.uses_reader_user:
        return None
    return ChainBinder(
        guard,
        endpoint_label(settings.bittensor_network),
        NodeProbe(settings.bittensor_network),
        OrderedBucket(connection, JOBS_BUCKET),
        open_stored_events(settings, connection),
        connection,
    )


def create_chain(
    settings: WorkerSettings, metrics: WorkerMetrics, guard: ChainGuard
) -> RoutedChain:
    """Return a chain to read, with old blocks from the archive node.

    Its connections are opened by the first read.

    Args:
        settings: networks, cutoff and timeout.
        metrics: receives durations and fallbacks.
        guard: checks the genesis of each node.

    Raises:
        WorkerError: the SDK does not know a network's name.
    """
    timeouts = ConnectionTimeouts(operation_s=settings.chain_timeout_seconds)

    def node(network: str, role: str, check_genesis: Callable[[str], None]) -> Chain:
        reader = SubtensorReader(
            network,
            role=role,
            timeouts=timeouts,
            check_genesis=check_genesis,
            instrument=OperationTimer(endpoint_label(network), metrics).measure,
        )
        guard.on_bound(reader.reconnect_threadsafe)
        return reader

    variable = "PYLON_BITTENSOR_NETWORK"
    try:
        main = node(settings.bittensor_network, "The chain node", guard.check_genesis)
        variable = "PYLON_BITTENSOR_ARCHIVE_NETWORK"
        archive: Chain | None = None
        if settings.bittensor_archive_network:
            archive = node(
                settings.bittensor_archive_network, "The archive node", guard.check_archive_genesis
            )
    except ValueError as error:
        raise WorkerError(f"{variable}: {error}") from None
    return RoutedChain(
        main,
        archive,
        settings.bittensor_archive_blocks_cutoff,
        on_fallback=lambda reason, operation: metrics.fallbacks.labels(reason, operation, "").inc(),
    )


def create_chain_writer(settings: WorkerSettings, guard: ChainGuard) -> SubtensorWriter:
    """Return a chain to write to; its connections are opened by the first use."""
    return SubtensorWriter(
        settings.bittensor_network,
        settings.bittensor_archive_network,
        archive_cutoff_blocks=settings.bittensor_archive_blocks_cutoff,
        timeout_s=settings.chain_timeout_seconds,
        guard=guard,
    )


async def connect_worker(settings: WorkerSettings, name: str) -> NatsConnection:
    """Connect to NATS as this worker's user; retry while NATS is not available.

    Args:
        settings: URLs and credentials.
        name: name of the connection in the server's monitoring.

    Raises:
        WorkerError: NATS refuses the connection, or is not available within `NATS_START_TIMEOUT_S`.
    """
    options = worker_connection_options(settings, name, is_confined=settings.uses_reader_user)
    backoff = Backoff(initial_s=0.1, max_s=2.0)
    give_up_at_s = asyncio.get_running_loop().time() + NATS_START_TIMEOUT_S
    while True:
        try:
            return await connect(options)
        except FailureError as error:
            late = asyncio.get_running_loop().time() > give_up_at_s
            if late or error.code is not ErrorCode.NATS_UNAVAILABLE:
                raise WorkerError(error.failure.detail) from None
            logger.warning("Waiting for NATS: %s", error.failure.detail)
        await backoff.wait()


def open_stored_events(settings: WorkerSettings, connection: NatsConnection) -> EventLogReader:
    """Return a reader of stored events: from JetStream or, without JetStream, via a signer."""
    if settings.uses_reader_user:
        return event_log_via_worker(connection, ReplaySubject)
    return EventLog(connection)
