"""Requests that wait for their answers, and how their wait is ended early."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from pylon_client.contract.failures import FailureError


@dataclass(slots=True, eq=False)
class _PendingRequest:
    subject: str
    timeout: asyncio.Timeout
    failure: FailureError | None = None


class PendingRequests:
    """All requests of one connection that are not answered yet."""

    def __init__(self) -> None:
        self._requests: set[_PendingRequest] = set()

    @contextlib.asynccontextmanager
    async def wait(self, subject: str, timeout_s: float) -> AsyncGenerator[None]:
        """Let the block take `timeout_s` seconds, or less when the request is failed meanwhile.

        Raises:
            FailureError: the one that the request was failed with.
            TimeoutError: the time is over.
        """
        waiting: _PendingRequest | None = None
        try:
            async with asyncio.timeout(timeout_s) as scope:
                waiting = _PendingRequest(subject, scope)
                self._requests.add(waiting)
                yield
        except TimeoutError:
            if waiting is not None and waiting.failure is not None:
                raise waiting.failure from None
            raise
        finally:
            if waiting is not None:
                self._requests.discard(waiting)

    def fail(self, failure: FailureError, *, matching: Callable[[str], bool] | None = None) -> None:
        """End the wait of every request, or of those whose subject is one of `matching`."""
        now = asyncio.get_running_loop().time()
        for waiting in self._requests:
            chosen = matching is None or matching(waiting.subject)
            if chosen and waiting.failure is None and not waiting.timeout.expired():
                waiting.failure = failure
                waiting.timeout.reschedule(now)
