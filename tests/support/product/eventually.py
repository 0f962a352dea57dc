"""Wait for a condition with one generous limit, so that no test depends on the machine's speed."""

import asyncio
import os
from collections.abc import Awaitable, Callable

HANGS_AFTER_S = float(os.environ.get("TESTS_HANG_AFTER_S", "300"))
"""Timeout of one wait, in seconds: much longer than a slow machine needs, so only a hang fails."""
POLL_S = 0.01


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not hold within HANGS_AFTER_S.
    """
    async with asyncio.timeout(HANGS_AFTER_S):
        while not condition():
            await asyncio.sleep(POLL_S)


async def comes_true(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait until an asynchronous condition holds, such as the state of a server.

    Raises:
        TimeoutError: it does not hold within HANGS_AFTER_S.
    """
    async with asyncio.timeout(HANGS_AFTER_S):
        while not await condition():
            await asyncio.sleep(POLL_S)
