"""What both sides of a worker are made of: its connections to the chain and to NATS."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from pylon.chain.archive_routing import ArchiveRouting
from pylon.chain.chain_guard import ChainGuard
from pylon.chain.endpoint_label import place_of
from pylon.chain.node_connection import Patience
from pylon.chain.node_probe import NodeProbe
from pylon.chain.port import Chain
from pylon.chain.subtensor_reader import Subtensor
from pylon.chain.subtensor_writer import Submission
from pylon.common.backoff import Pauses
from pylon.events.event_log import KeptInStream
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.nats_server.worker_user import worker_options
from pylon.worker.binding.chain_binder import ChainBinder
from pylon.worker.binding.remedy import remedy, remedy_of_readers
from pylon.worker.instrumented_chain import MeasuredChain
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import ReplaySubject
from pylon_client.contract.topology import JOBS_BUCKET
from pylon_client.events.stored_events import KeptEvents, last_by_request
from pylon_client.nats.nats_connection import Connection, connect

logger = logging.getLogger(__name__)

NATS_WAIT_S: Final = 60.0
"""Start-up timeout for NATS, in seconds; NATS and the worker usually start together."""


class WorkerError(Exception):
    """Why a worker cannot run, in words for its operator."""


def guard_of(settings: WorkerSettings) -> ChainGuard:
    """Return the guard of a worker's connections to nodes; nothing is bound yet.

    A reader without JetStream learns from events which chain the signers publish.
    """
    return ChainGuard(
        place_of(settings.bittensor_network),
        remedy_of_readers if settings.is_confined else remedy,
        needs_binding=not settings.is_confined,
    )


def binder_of(
    settings: WorkerSettings, guard: ChainGuard, connection: Connection
) -> ChainBinder | None:
    """Return what binds the state to the chain; None for a reader without JetStream."""
    if settings.is_confined:
        return None
    return ChainBinder(
        guard,
        place_of(settings.bittensor_network),
        NodeProbe(settings.bittensor_network),
        OrderedBucket(connection, JOBS_BUCKET),
        stored_events(settings, connection),
        connection,
    )


def chain_of(settings: WorkerSettings, metrics: WorkerMetrics, guard: ChainGuard) -> ArchiveRouting:
    """Return a chain to read, old blocks from the archive; its connections open on first use.

    Args:
        settings: of the worker.
        metrics: of the worker.
        guard: checks the chain of each node.

    Raises:
        WorkerError: the SDK does not know a network's name.
    """
    patience = Patience(operation_s=settings.chain_timeout_s)

    def node(network: str, role: str, admit: Callable[[str], None]) -> Chain:
        subtensor = Subtensor(network, role=role, patience=patience, admit=admit)
        guard.on_bound(subtensor.check_again)
        return MeasuredChain(subtensor, subtensor.place, metrics)

    variable = "PYLON_BITTENSOR_NETWORK"
    try:
        lite = node(settings.bittensor_network, "The chain node", guard.admit)
        variable = "PYLON_BITTENSOR_ARCHIVE_NETWORK"
        archive: Chain | None = None
        if settings.bittensor_archive_network:
            archive = node(
                settings.bittensor_archive_network, "The archive node", guard.admit_archive
            )
    except ValueError as error:
        raise WorkerError(f"{variable}: {error}") from None
    return ArchiveRouting(
        lite,
        archive,
        settings.bittensor_archive_blocks_cutoff,
        on_fallback=lambda reason, operation: metrics.fallbacks.labels(reason, operation, "").inc(),
    )


def submission_of(settings: WorkerSettings, guard: ChainGuard) -> Submission:
    """Return a chain to write to, of a guarded node; its connections open on first use."""
    return Submission(
        settings.bittensor_network,
        settings.bittensor_archive_network,
        archive_cutoff_blocks=settings.bittensor_archive_blocks_cutoff,
        timeout_s=settings.chain_timeout_s,
        guard=guard,
    )


async def connect_worker(settings: WorkerSettings, name: str) -> Connection:
    """Connect to NATS as this worker's user, once NATS is there.

    Args:
        settings: of the worker.
        name: of the connection in the server's monitoring.

    Raises:
        WorkerError: NATS refuses, or does not answer within `NATS_WAIT_S` seconds.
    """
    options = worker_options(settings, name, is_confined=settings.is_confined)
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


def stored_events(settings: WorkerSettings, connection: Connection) -> KeptEvents:
    """Return the stored events, from JetStream or, for a reader without it, from a signer."""
    if settings.is_confined:
        return last_by_request(connection, ReplaySubject)
    return KeptInStream(connection)
