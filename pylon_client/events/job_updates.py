"""A subscription to the events of one job that is renewed after failures."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from pydantic import ValidationError

from pylon_client.contract.jobs import Job
from pylon_client.errors import BasePylonException
from pylon_client.exponential_backoff import Backoff

logger = logging.getLogger(__name__)

RESUBSCRIBE_INITIAL_DELAY_S: Final = 1.0
RESUBSCRIBE_MAX_DELAY_S: Final = 30.0
"""Maximum seconds between two attempts to subscribe; the delay doubles with each failure."""

OpenJobStream = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]


class AsyncJobUpdates(Protocol):
    """Updates of one job, for the asynchronous client."""

    @property
    def is_live(self) -> bool:
        """Return whether events are received now."""
        ...

    async def next(self, timeout_s: float) -> Job | None:
        """Return the next update; None after `timeout_s` seconds or when the subscription ends."""
        ...

    async def close(self) -> None:
        """Unsubscribe."""
        ...


class JobUpdates(Protocol):
    """Updates of one job, for the blocking client."""

    @property
    def is_live(self) -> bool:
        """Return whether events are received now."""
        ...

    def next(self, timeout_s: float) -> Job | None:
        """Return the next update; None after `timeout_s` seconds or when the subscription ends."""
        ...

    def close(self) -> None:
        """Unsubscribe."""
        ...


class JobUpdateSubscription:
    """Receives updates of one job in a task, and subscribes again after a failure.

    Use it from one event loop.

    Args:
        listen: opens the stream of the job; its first body is the current job.

    Attributes:
        is_live: whether events are received now, so that the job is rarely read.
    """

    def __init__(self, listen: OpenJobStream) -> None:
        self.is_live = False
        self._listen = listen
        self._updates: asyncio.Queue[Job | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._retry_at_s = 0.0
        self._backoff = Backoff(RESUBSCRIBE_INITIAL_DELAY_S, RESUBSCRIBE_MAX_DELAY_S, jitter=False)

    async def next(self, timeout_s: float) -> Job | None:
        """Return the next update; None after `timeout_s` seconds or when the subscription ends."""
        if self._task is None and time.monotonic() >= self._retry_at_s:
            self._task = asyncio.create_task(self._receive())
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    job = await self._updates.get()
                    if job is not None:
                        return job
                    if self._schedule_retry():
                        return None
        except TimeoutError:
            return None

    async def close(self) -> None:
        """Unsubscribe; a second call does nothing."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _schedule_retry(self) -> bool:
        """Schedule the next attempt; return whether the last one received anything."""
        was_live, self.is_live = self.is_live, False
        self._task = None
        if was_live:
            self._backoff.reset()
        self._retry_at_s = time.monotonic() + self._backoff.next_delay_s()
        return was_live

    async def _receive(self) -> None:
        try:
            async with self._listen() as bodies:
                async for body in bodies:
                    self.is_live = True
                    try:
                        self._updates.put_nowait(Job.model_validate_json(body))
                    except ValidationError:
                        logger.debug("Skipped an unreadable job event of a newer version")
        except BasePylonException as error:
            logger.debug("Job subscription failed; polling instead: %s", error)
        finally:
            self._updates.put_nowait(None)
