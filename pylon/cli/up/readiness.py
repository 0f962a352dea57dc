"""Wait until all processes and the chain are ready, and report missing components."""

import asyncio
import logging
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from pylon.chain.endpoint_label import endpoint_label
from pylon.cli.up.up_options import UpOptions
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import LATEST_BLOCK
from pylon_client.contract.subjects import OPEN_USER, OpenSubject
from pylon_client.exponential_backoff import Backoff
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect

logger = logging.getLogger(__name__)

FIRST_REPORT_S: Final = 2.0
"""Delay before the first report of a missing component, in seconds; it doubles each time."""
MAX_REPORT_S: Final = 60.0
"""Maximum delay between two reports, in seconds."""
POLL_S: Final = 0.1
REQUEST_TIMEOUT_S: Final = 5.0
LATEST_BLOCK_SUBJECT: Final = str(OpenSubject(None, LATEST_BLOCK.name))

_CHAIN_ERRORS: Final = (
    ErrorCode.CHAIN_UNAVAILABLE,
    ErrorCode.CHAIN_TIMEOUT,
    ErrorCode.CHAIN_REJECTED,
)


@dataclass(frozen=True, slots=True)
class MissingComponent:
    """A component that is not ready.

    Attributes:
        name: name for log lines.
        is_chain: whether only the chain is missing, while all processes are ready.
    """

    name: str
    is_chain: bool = False


async def wait_until_ready(
    options: UpOptions, settings: WorkerSettings, processes_ready: asyncio.Event
) -> None:
    """Wait without a timeout until the chain, the worker, NATS and the bridge are ready.

    Queries the worker over NATS, since the bridge would log each request.

    Args:
        options: options of `pylon up`.
        settings: settings of the worker.
        processes_ready: set when worker and bridge are ready, with or without the chain.
    """
    token = settings.open_access_token.get_secret_value()
    user = OPEN_USER if token else None
    connection = await connect(ConnectionOptions((options.nats_url,), user, token, "pylon up"))
    reports = ReportSchedule(asyncio.get_running_loop().time())
    try:
        while missing := await _find_missing(options, settings, connection):
            if missing.is_chain and not processes_ready.is_set():
                processes_ready.set()
                logger.warning(
                    "No response from %s; %s serves only requests that do not need the chain",
                    missing.name,
                    options.rest_url,
                )
            if reports.is_due(asyncio.get_running_loop().time()):
                logger.info("Waiting for %s", missing.name)
            await asyncio.sleep(POLL_S)
    finally:
        await connection.close()
    processes_ready.set()


class ReportSchedule:
    """Schedule of reports with exponential backoff.

    Args:
        now_s: start time in seconds.
    """

    def __init__(self, now_s: float) -> None:
        self._backoff = Backoff(FIRST_REPORT_S, MAX_REPORT_S, jitter=False)
        self._due_s = now_s + self._backoff.next_delay_s()

    def is_due(self, now_s: float) -> bool:
        """Return whether a report is due; if so, schedule the next one."""
        if now_s < self._due_s:
            return False
        self._due_s = now_s + self._backoff.next_delay_s()
        return True


async def _find_missing(
    options: UpOptions, settings: WorkerSettings, connection: NatsConnection
) -> MissingComponent | None:
    chain_is_away = False
    try:
        await connection.request(LATEST_BLOCK_SUBJECT, timeout_s=REQUEST_TIMEOUT_S)
    except FailureError as error:
        if error.code not in _CHAIN_ERRORS:
            return MissingComponent("the worker")
        chain_is_away = True
    if not await asyncio.to_thread(_responds, f"{options.rest_url}/health/ready"):
        return MissingComponent("the bridge")
    if chain_is_away:
        return MissingComponent(
            f"the chain at {endpoint_label(settings.bittensor_network)}", is_chain=True
        )
    return None


def _responds(url: str) -> bool:
    # urllib, since other HTTP clients would delay the start by their import time.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=REQUEST_TIMEOUT_S) as answer:
            return answer.status == HTTPStatus.OK
    except OSError:
        return False
