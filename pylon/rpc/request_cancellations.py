"""Cancel requests in progress whose caller has stopped waiting."""

import asyncio
from typing import Final

MAX_EARLY_CANCELLATIONS: Final = 4096
"""Maximum number of cancellations that are stored for requests that have not arrived yet."""
MAX_CANCEL_ID_BYTES: Final = 64
"""Maximum length of a cancellation's id."""


class RequestCancellations:
    """Requests in progress by the id with which their caller can cancel them.

    Requests and cancellations arrive on different subscriptions, in any order.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._early: dict[str, None] = {}
        self._cancelled_tasks: set[asyncio.Task[None]] = set()

    def take_early(self, cancel_id: str) -> bool:
        """Return whether a request was cancelled before it arrived; forget the cancellation."""
        if cancel_id not in self._early:
            return False
        del self._early[cancel_id]
        return True

    def register(self, cancel_id: str, task: asyncio.Task[None]) -> None:
        """Let a cancellation with this id cancel a task, until the task is done."""
        self._tasks[cancel_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(cancel_id, None))

    def cancel(self, body: bytes) -> bool:
        """Cancel the request that the body of a cancellation names.

        Returns:
            Whether the request is in progress here. If not, the cancellation is stored.
        """
        cancel_id = body[: MAX_CANCEL_ID_BYTES + 1].decode(errors="replace")
        task = self._tasks.get(cancel_id)
        if task is not None:
            self._cancelled_tasks.add(task)
            task.add_done_callback(self._cancelled_tasks.discard)
            task.cancel()
            return True
        if len(body) <= MAX_CANCEL_ID_BYTES:
            # Another worker may execute the request, or it may have finished.
            self._early[cancel_id] = None
            if len(self._early) > MAX_EARLY_CANCELLATIONS:
                del self._early[next(iter(self._early))]
        return False

    def is_cancelled(self, task: asyncio.Task[None] | None) -> bool:
        """Return whether a task that is still running was cancelled by its caller."""
        return task in self._cancelled_tasks
