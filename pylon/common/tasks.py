"""Helpers for asyncio tasks: run until a stop event, cancel and wait."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

T = TypeVar("T")

CANCEL_TIMEOUT_S: Final = 10.0
"""Timeout for cancelled tasks to end, in seconds."""


async def cancel_and_wait(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until all of them have ended."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    ended, _ = await asyncio.wait(tasks, timeout=CANCEL_TIMEOUT_S)
    await asyncio.gather(*ended, return_exceptions=True)  # errors were handled before


async def run_until_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of `work`, or None, with `work` cancelled, once `stop` is set."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        await cancel_and_wait([working, stopping])
