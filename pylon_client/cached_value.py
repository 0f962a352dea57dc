"""One value that is made once, for all who need it at the same time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from pylon_client.errors import PylonClosed

T = TypeVar("T")


class CachedValue(Generic[T]):
    """A value that is made when it is first needed and kept until it is forgotten.

    Whoever comes while it is being made waits for that same making and shares its outcome, so
    that a thousand callers of a service that hangs wait for one time-out and not for a thousand.
    What failed is made again for the next who comes.

    Args:
        factory: makes the value, within a time of its own.
    """

    def __init__(self, factory: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._factory = factory
        self._task: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """The value; what `make` raises is raised to all who wait for it.

        Raises:
            PylonClosed: `stop` was called meanwhile.
        """
        making = self._task
        if making is None or (making.done() and not _succeeded(making)):
            making = self._task = asyncio.create_task(self._factory())
        try:
            # One who gives up waiting must not end it for the others.
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            waiter = asyncio.current_task()
            if making.cancelled() and waiter is not None and not waiter.cancelling():
                raise PylonClosed("the client was closed during the call") from None
            raise

    def invalidate(self, value: T) -> None:
        """Let the value be made again, unless it has been already."""
        making = self._task
        if making is not None and _succeeded(making) and making.result() == value:
            self._task = None

    async def close(self) -> T | None:
        """Give up making it, and hand over the value if there is one."""
        making, self._task = self._task, None
        if making is None:
            return None
        making.cancel()
        await asyncio.wait([making])
        return making.result() if _succeeded(making) else None


def _succeeded(making: asyncio.Task[T]) -> bool:
    # Asking for the exception also tells the loop that somebody has seen it.
    return making.done() and not making.cancelled() and making.exception() is None
