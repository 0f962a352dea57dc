"""A cancellation that the NATS library may have swallowed."""

import asyncio


def heed_cancellation() -> None:
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
