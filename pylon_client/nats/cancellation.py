"""Cancellations that the NATS library may swallow."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


def raise_if_cancelled() -> None:
    """Raise `CancelledError` if this task was cancelled and the NATS library lost the cancellation.

    The library waits with `asyncio.wait_for`. On Python 3.11 it returns the result and forgets the
    cancellation when both arrive in one iteration of the event loop. A loop around library calls
    would then never end, so it must call this function after each of them.

    Raises:
        CancelledError: this task was cancelled.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@contextmanager
def preserve_cancellation() -> Generator[None]:
    """Raise `CancelledError` at the end of the block if this task was cancelled within it.

    Earlier cancellations are ignored: clean-up code may still send requests.

    Raises:
        CancelledError: this task was cancelled within the block.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
