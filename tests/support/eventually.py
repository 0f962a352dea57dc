"""Waiting for what must come true, however slow the machine is."""

import asyncio
from collections.abc import Awaitable, Callable

POLL_S = 0.01


async def eventually(condition: Callable[[], object], *, within_s: float = 30.0) -> None:
    """Return once the condition holds; fail when it does not within a generous time."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(POLL_S)


async def comes_true(condition: Callable[[], Awaitable[object]], *, within_s: float = 30.0) -> None:
    """The same for a condition that has to be asked for, of a server or another process."""
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(POLL_S)
