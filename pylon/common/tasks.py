"""Helpers for asyncio tasks: run until a stop event, cancel and wait, finish together."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar, overload

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

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


@overload
async def finish_all(
    first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B], /
) -> tuple[A, B]: ...


@overload
async def finish_all(
    first: Coroutine[Any, Any, A],
    second: Coroutine[Any, Any, B],
    third: Coroutine[Any, Any, C],
    /,
) -> tuple[A, B, C]: ...


async def finish_all(*work: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
    """Return the results of concurrent work; raise a failure only after all of it has ended."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return tuple(results)
