"""What both sides of a worker are made of: its connections to the chain and to NATS."""

import asyncio
import logging
from typing import Final

from pylon.blocks.pauses import Pauses
from pylon.chain.archive import ArchiveRouting
from pylon.chain.connection import Patience
from pylon.chain.port import Chain
from pylon.chain.submission import Submission
from pylon.chain.subtensor import Subtensor
from pylon.messaging.kept import KeptInStream
from pylon.messaging.worker_user import worker_options
from pylon.observe.chain import MeasuredChain
from pylon.observe.metrics import WorkerMetrics
from pylon.settings import WorkerSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import ReplaySubject
from pylon_client.transport.connection import Connection, connect
from pylon_client.transport.published import KeptEvents, last_by_request

logger = logging.getLogger(__name__)

NATS_WAIT_S: Final = 60.0
"""Start-up timeout for NATS, in seconds; NATS and the worker usually start together."""


class WorkerError(Exception):
    """Why a worker cannot run, in words for its operator."""


def chain_of(settings: WorkerSettings, metrics: WorkerMetrics) -> ArchiveRouting:
    """Return a chain to read, old blocks from the archive; its connections open on first use.

    Raises:
        WorkerError: the SDK does not know a network's name.
    """
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


def submission_of(settings: WorkerSettings) -> Submission:
    """Return a chain to write to; its connections open on first use."""
    return Submission(
        settings.bittensor_network,
        settings.bittensor_archive_network,
        archive_cutoff_blocks=settings.bittensor_archive_blocks_cutoff,
        timeout_s=settings.chain_timeout_s,
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
