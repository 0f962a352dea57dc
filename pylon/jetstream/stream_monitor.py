"""Checks the streams every few seconds while a worker runs, and creates deleted ones again."""

import asyncio
import contextlib
import logging
from typing import Final

from pylon.jetstream.provision import ProvisionError, provision_streams
from pylon_client.contract.topology import (
    CHANGES,
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
    EVENTS.name: "its events are lost, and publishing continues after them",
    CHANGES.name: "its events are lost, and publishing continues after them",
    JOB_QUEUE.name: "unfinished jobs of the job store are queued again",
    JOB_STORE.name: (
        "ALL ITS JOBS ARE LOST, and accepted writes that had not ended will not be submitted; "
        "send them again"
    ),
    LEASES.name: "workers lock their hotkeys again",
    LEADERSHIP.name: "a worker acquires the publisher lease again",
}


class StreamMonitor:
    """Creates streams again that were deleted while NATS was running, or lost in its restart.

    Args:
        connection: as the user `worker`.
        replicas: number of replicas of a stream that is created here.
    """

    def __init__(self, connection: NatsConnection, *, replicas: int) -> None:
        self._connection = connection
        self._replicas = replicas
        self._problems: dict[str, str] = {}

    @property
    def problems(self) -> list[str]:
        """Return the reasons why streams are missing or unusable."""
        return list(self._problems.values())

    async def run(self) -> None:
        """Check the streams every `CHECK_INTERVAL_S` seconds and after a reconnect.

        It runs until cancelled. The streams must exist when it starts.
        """
        gap = asyncio.Event()
        remove_listener = self._connection.on_gap(gap.set)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_INTERVAL_S):
                        await gap.wait()
                gap.clear()
                await asyncio.gather(*map(self._check, STREAMS))
                raise_if_cancelled()
        finally:
            remove_listener()

    async def _check(self, plan: StreamPlan) -> None:
        try:
            made = await provision_streams(self._connection, (plan,), replicas=self._replicas)
        except ProvisionError as error:
            # The connection logs its own loss.
            if self._connection.is_connected and self._problems.get(plan.name) != str(error):
                self._problems[plan.name] = str(error)
                logger.error("%s", error)  # noqa: TRY400 - the text is complete
            return
        if self._problems.pop(plan.name, None) and not made:
            logger.info("The stream %s is usable again", plan.name)
        if made:
            logger.error(
                "The stream %s was missing and was created again: %s",
                plan.name,
                _CONSEQUENCES[plan.name],
            )
