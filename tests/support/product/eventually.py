"""Waiting for a condition, at any speed of the machine."""

import asyncio
import os
from collections.abc import Awaitable, Callable

HANGS_AFTER_S = float(os.environ.get("TESTS_HANG_AFTER_S", "300"))
"""Limit of one wait, in seconds: far beyond what a slow machine needs, so only a hang fails."""
POLL_S = 0.01


async def eventually(condition: Callable[[], object]) -> None:
    """Return once the condition holds; fail after HANGS_AFTER_S."""
    async with asyncio.timeout(HANGS_AFTER_S):
        while not condition():
            await asyncio.sleep(POLL_S)


async def comes_true(condition: Callable[[], Awaitable[object]]) -> None:
    """Return once an awaited condition holds, of a server or process; fail after HANGS_AFTER_S."""
    async with asyncio.timeout(HANGS_AFTER_S):
        while not await condition():
            await asyncio.sleep(POLL_S)
