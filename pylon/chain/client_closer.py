"""Close clients of the chain SDK in the background."""

import asyncio
import contextlib
from typing import Final, Protocol

CLOSE_ATTEMPTS_S: Final = (2.0, 12.0)
"""Timeouts of the attempts to close a connection, in seconds.

The first attempt can block: on Python 3.11, a task that is cancelled at the moment when its awaited
result arrives may ignore the cancellation. The last timeout exceeds the close timeout of the
WebSocket library (10 s).
"""


class ChainClient(Protocol):
    """A client of the SDK with one connection."""

    async def connect(self) -> None:
        """Open the connection."""
        ...

    async def close(self) -> None:
        """Close the connection; requests in flight fail."""
        ...


class ClientCloser:
    """Closes clients without keeping the caller waiting.

    Args:
        label: names the tasks.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self, client: ChainClient) -> None:
        """Close a client in the background; a second attempt follows if the first one blocks."""
        task = asyncio.create_task(_close(client), name=f"close {self._label}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self, timeout_s: float) -> None:
        """Return when all clients are closed, or after `timeout_s` seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)


async def _close(client: ChainClient) -> None:
    for timeout_s in CLOSE_ATTEMPTS_S:
        with contextlib.suppress(Exception):  # a broken connection may fail to close
            async with asyncio.timeout(timeout_s):
                await client.close()
            return
