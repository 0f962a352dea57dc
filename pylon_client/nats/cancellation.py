"""A cancellation that the NATS library may have swallowed."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


def raise_if_cancelled() -> None:
    """Raise the cancellation of this task that came at the moment of an answer.

    The NATS library waits with `asyncio.wait_for`, which on Python 3.11 gives back the answer and
    forgets the cancellation when both come in one turn of the event loop. A loop that then waits
    for something else would never end: call this after each of its calls of the library.

    Raises:
        CancelledError: this task was asked to end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@contextmanager
def preserve_cancellation() -> Generator[None]:
    """End what happens within by the cancellation that came in its course, if one did.

    A cancellation from before does not count: who cleans up after one may still ask.

    Raises:
        CancelledError: this task was asked to end meanwhile.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
