"""The changes of one job as Pylon announces them, for as long as that works."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from pydantic import ValidationError

from pylon_client.contract.jobs import Job
from pylon_client.errors import BasePylonException

logger = logging.getLogger(__name__)

RESUBSCRIBE_INITIAL_DELAY_S: Final = 1.0
RESUBSCRIBE_MAX_DELAY_S: Final = 30.0
"""Bounds of the pause between two attempts to listen, in seconds; it doubles with each failure."""

OpenJobStream = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]


class AsyncJobUpdates(Protocol):
    """Announced changes of one job."""

    @property
    def is_live(self) -> bool:
        """Whether changes are being received now."""
        ...

    async def next(self, timeout_s: float) -> Job | None:
        """Return the next change; None when none came in time, or no more are received."""
        ...

    async def close(self) -> None:
        """Listen no more."""
        ...


class JobUpdates(Protocol):
    """The same for the blocking client."""

    @property
    def is_live(self) -> bool:
        """Whether changes are being received now."""
        ...

    def next(self, timeout_s: float) -> Job | None:
        """Return the next change; None when none came in time, or no more are received."""
        ...

    def close(self) -> None:
        """Listen no more."""
        ...


class JobUpdateSubscription:
    """Listens to one job in a task, and again after a break; used from one event loop.

    Args:
        listen: connects to the changes of the job; the first body is the job as it is.

    Attributes:
        is_live: whether changes are being received now, so that polling is needed rarely.
    """

    def __init__(self, listen: OpenJobStream) -> None:
        self.is_live = False
        self._listen = listen
        self._updates: asyncio.Queue[Job | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._retry_at_s = 0.0
        self._retry_delay_s = RESUBSCRIBE_INITIAL_DELAY_S

    async def next(self, timeout_s: float) -> Job | None:
        """Return the next change; None when none came in time, or no more are received."""
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
        """Listen no more; it may be closed already."""
        listening, self._task = self._task, None
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _schedule_retry(self) -> bool:
        """Schedule the next attempt to listen; return whether this one has received anything."""
        was_live, self.is_live = self.is_live, False
        self._task = None
        if was_live:
            self._retry_delay_s = RESUBSCRIBE_INITIAL_DELAY_S
        self._retry_at_s = time.monotonic() + self._retry_delay_s
        self._retry_delay_s = min(self._retry_delay_s * 2, RESUBSCRIBE_MAX_DELAY_S)
        return was_live

    async def _receive(self) -> None:
        try:
            async with self._listen() as bodies:
                async for body in bodies:
                    self.is_live = True
                    try:
                        self._updates.put_nowait(Job.model_validate_json(body))
                    except ValidationError:
                        logger.debug("A change of a job is of a newer version, and left out")
        except BasePylonException as error:
            logger.debug("Cannot listen to a job; asking for it instead: %s", error)
        finally:
            self._updates.put_nowait(None)
