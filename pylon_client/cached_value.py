"""A value that is created once for all concurrent callers, and cached."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from pylon_client.errors import PylonClosed

T = TypeVar("T")


class CachedValue(Generic[T]):
    """A value that is created on first use and cached until it is invalidated.

    Concurrent callers share one creation and its result. A thousand callers of a service that
    hangs wait for one timeout instead of a thousand. After a failure, the next caller creates the
    value again.

    Args:
        factory: creates the value; it must have a timeout.
    """

    def __init__(self, factory: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._factory = factory
        self._task: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return the value; an error of `factory` is raised to all callers that wait for it.

        Raises:
            PylonClosed: `close` was called meanwhile.
        """
        task = self._task
        if task is None or (task.done() and not _succeeded(task)):
            task = self._task = asyncio.create_task(self._factory())
        try:
            # A cancelled caller must not cancel the task of the others.
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if task.cancelled() and caller is not None and not caller.cancelling():
                raise PylonClosed("the client was closed during the call") from None
            raise

    def invalidate(self, value: T) -> None:
        """Remove a value from the cache, unless another one has replaced it already."""
        task = self._task
        if task is not None and _succeeded(task) and task.result() == value:
            self._task = None

    async def close(self) -> T | None:
        """Cancel the creation; return the value if there is one."""
        task, self._task = self._task, None
        if task is None:
            return None
        task.cancel()
        await asyncio.wait([task])
        return task.result() if _succeeded(task) else None


def _succeeded(task: asyncio.Task[Any]) -> bool:
    # `exception()` also marks the exception as retrieved, which avoids a warning of the event loop.
    return task.done() and not task.cancelled() and task.exception() is None
