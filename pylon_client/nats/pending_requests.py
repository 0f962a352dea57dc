"""Requests without a reply yet, which can be failed early."""

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
    """All requests of one connection that have no reply yet."""

    def __init__(self) -> None:
        self._requests: set[_PendingRequest] = set()

    @contextlib.asynccontextmanager
    async def wait(self, subject: str, timeout_s: float) -> AsyncGenerator[None]:
        """Limit the block to `timeout_s` seconds; end it early when the request is failed.

        Raises:
            FailureError: the failure that was passed to `fail`.
            TimeoutError: the timeout is over.
        """
        request: _PendingRequest | None = None
        try:
            async with asyncio.timeout(timeout_s) as timeout:
                request = _PendingRequest(subject, timeout)
                self._requests.add(request)
                yield
        except TimeoutError:
            if request is not None and request.failure is not None:
                raise request.failure from None
            raise
        finally:
            if request is not None:
                self._requests.discard(request)

    def fail(self, failure: FailureError, *, matching: Callable[[str], bool] | None = None) -> None:
        """Fail the pending requests.

        Args:
            failure: raised to the callers.
            matching: returns whether to fail requests on a subject; None fails all.
        """
        now = asyncio.get_running_loop().time()
        for request in self._requests:
            is_chosen = matching is None or matching(request.subject)
            if is_chosen and request.failure is None and not request.timeout.expired():
                request.failure = failure
                request.timeout.reschedule(now)
