"""Whether all parts of the tree work together, and what is still missing until they do."""

import asyncio
import logging
import urllib.request
from http import HTTPStatus

from pylon.chain.place import place_of
from pylon.settings import WorkerSettings
from pylon.up.options import UpError, UpOptions
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import LATEST_BLOCK
from pylon_client.contract.subjects import OPEN_USER, OpenSubject
from pylon_client.transport.connection import Connection, ConnectionOptions, connect

log = logging.getLogger(__name__)

READY_WITHIN_S = 120.0
TOLD_EVERY_S = 5.0
POLL_S = 0.1
ANSWERS_WITHIN_S = 5.0
LATEST = str(OpenSubject(None, LATEST_BLOCK.name))

_OF_THE_CHAIN = (ErrorCode.CHAIN_UNAVAILABLE, ErrorCode.CHAIN_TIMEOUT, ErrorCode.CHAIN_REJECTED)


async def until_ready(options: UpOptions, settings: WorkerSettings) -> None:
    """Return once the chain, the worker, NATS and the bridge work together.

    The worker is asked over NATS, since the bridge would log each question.

    Raises:
        UpError: they still do not after `READY_WITHIN_S`; says what is missing.
    """
    token = settings.open_access_token.get_secret_value()
    user = OPEN_USER if token else None
    connection = await connect(ConnectionOptions((options.nats_url,), user, token, "pylon up"))
    loop = asyncio.get_running_loop()
    started_s = told_s = loop.time()
    try:
        while missing := await _missing(options, settings, connection):
            if loop.time() - started_s > READY_WITHIN_S:
                raise UpError(f"after {READY_WITHIN_S:.0f} s still waiting for {missing}")
            if loop.time() - told_s > TOLD_EVERY_S:
                told_s = loop.time()
                log.info("Waiting for %s", missing)
            await asyncio.sleep(POLL_S)
    finally:
        await connection.close()


async def _missing(
    options: UpOptions, settings: WorkerSettings, connection: Connection
) -> str | None:
    try:
        await connection.request(LATEST, timeout_s=ANSWERS_WITHIN_S)
    except FailureError as error:
        if error.code in _OF_THE_CHAIN:
            return f"the chain at {place_of(settings.bittensor_network)}"
        return "the worker"
    is_ready = await asyncio.to_thread(_answers, f"{options.rest_url}/health/ready")
    return None if is_ready else "the bridge"


def _answers(url: str) -> bool:
    # Of the standard library, since this is imported before anything can be started.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=ANSWERS_WITHIN_S) as answer:
            return answer.status == HTTPStatus.OK
    except OSError:
        return False
