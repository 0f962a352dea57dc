"""Whether all parts of the tree work together, and what is still missing until they do."""

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
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect

log = logging.getLogger(__name__)

FIRST_REPORT_S: Final = 2.0
"""Delay before the first report of what is missing; it doubles with each report."""
REPORT_MAX_S: Final = 60.0
"""Longest delay between two reports."""
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
    """What is not there yet.

    Attributes:
        name: in a sentence.
        is_chain: whether it is the chain alone, while all processes work.
    """

    name: str
    is_chain: bool = False


async def wait_until_ready(
    options: UpOptions, settings: WorkerSettings, processes_ready: asyncio.Event
) -> None:
    """Return once the chain, the worker, NATS and the bridge work together, however late.

    The worker is asked over NATS, since the bridge would log each question.

    Args:
        options: of the tree.
        settings: of its worker.
        processes_ready: set once worker and bridge work, be the chain there or not.
    """
    token = settings.open_access_token.get_secret_value()
    user = OPEN_USER if token else None
    connection = await connect(ConnectionOptions((options.nats_url,), user, token, "pylon up"))
    reports = ReportSchedule(asyncio.get_running_loop().time())
    try:
        while missing := await _find_missing(options, settings, connection):
            if missing.is_chain and not processes_ready.is_set():
                processes_ready.set()
                log.warning(
                    "No answer from %s: until there is, %s serves what needs no chain",
                    missing.name,
                    options.rest_url,
                )
            if reports.is_due(asyncio.get_running_loop().time()):
                log.info("Waiting for %s", missing.name)
            await asyncio.sleep(POLL_S)
    finally:
        await connection.close()
    processes_ready.set()


class ReportSchedule:
    """When the next report is due: often at first, then every minute.

    Args:
        now_s: the time from which on something is missing.
    """

    def __init__(self, now_s: float) -> None:
        self._interval_s = FIRST_REPORT_S
        self._due_s = now_s + self._interval_s

    def is_due(self, now_s: float) -> bool:
        """Return whether to report now; if so, the next report is due later."""
        if now_s < self._due_s:
            return False
        self._interval_s = min(2 * self._interval_s, REPORT_MAX_S)
        self._due_s = now_s + self._interval_s
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
    # Of the standard library, since this is imported before anything can be started.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=REQUEST_TIMEOUT_S) as answer:
            return answer.status == HTTPStatus.OK
    except OSError:
        return False
