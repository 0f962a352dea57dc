"""The streams while a worker runs: made again when they are deleted, checked every few seconds."""

import asyncio
import contextlib
import logging
from typing import Final

from pylon.jetstream.provision import ProvisionError, provision_streams
from pylon_client.contract.topology import (
    EVENTS,
    JOB_QUEUE,
    JOB_STORE,
    LEADERSHIP,
    LEASES,
    STREAMS,
    StreamPlan,
)
from pylon_client.nats.cancellation import raise_if_cancelled
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

CHECK_INTERVAL_S: Final = 2.0
"""Seconds between two checks of the streams; each check is one request per stream."""

_CONSEQUENCES: Final = {
    EVENTS.name: "the events in it are lost, and publishing continues behind them",
    JOB_QUEUE.name: "jobs in the ledger that have not ended are queued again",
    JOB_STORE.name: (
        "ALL JOBS in it ARE LOST, and accepted writes that had not ended will not be made; "
        "put them again"
    ),
    LEASES.name: "hotkeys are locked again by the workers that use them",
    LEADERSHIP.name: "a worker becomes the publisher again",
}


class StreamKeeper:
    """Makes streams again that were deleted while NATS was running, or lost in a restart of it.

    Args:
        connection: as the user `worker`.
        replicas: how many servers keep a stream that is made here.
    """

    def __init__(self, connection: NatsConnection, *, replicas: int) -> None:
        self._connection = connection
        self._replicas = replicas
        self._problems: dict[str, str] = {}

    @property
    def problems(self) -> list[str]:
        """Why streams are missing, or not as Pylon needs them."""
        return list(self._problems.values())

    async def run(self) -> None:
        """Check the streams every `CHECK_EVERY_S` seconds and after a reconnect, until cancelled.

        All of them exist when it begins.
        """
        gap = asyncio.Event()
        forget = self._connection.on_gap(gap.set)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_INTERVAL_S):
                        await gap.wait()
                gap.clear()
                await asyncio.gather(*map(self._check, STREAMS))
                raise_if_cancelled()
        finally:
            forget()

    async def _check(self, plan: StreamPlan) -> None:
        try:
            made = await provision_streams(self._connection, (plan,), replicas=self._replicas)
        except ProvisionError as error:
            # The loss of a connection is logged by the connection.
            if self._connection.is_connected and self._problems.get(plan.name) != str(error):
                self._problems[plan.name] = str(error)
                logger.error("%s", error)  # noqa: TRY400 - the text is all
            return
        if self._problems.pop(plan.name, None) and not made:
            logger.info("The stream %s is as Pylon needs it again", plan.name)
        if made:
            logger.error(
                "The stream %s was missing and has been made again: %s",
                plan.name,
                _CONSEQUENCES[plan.name],
            )
