"""Admission control for concurrent requests, with a share for each caller.

Half of the permits is divided equally among the known callers; the other half is shared. A caller
uses its own share first. So a flood of requests from one caller cannot block the others.
"""

from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from pylon_client.contract.failures import ErrorCode, FailureError

OPEN_CALLER: Final = ""
"""Name of the caller of all open-access requests; an identity cannot have this name."""
MAX_WAITING_PER_CALLER: Final = 256
"""Maximum number of parked requests per caller; each uses some kilobytes of memory."""


class _PermitPool:
    """The permits in use, by caller."""

    def __init__(self, permits: int, callers: frozenset[str], max_waiting: int) -> None:
        self.in_use: Final = Counter[str]()
        self.waiting: Final = Counter[str]()
        self._callers = callers
        self._share = max(1, permits // 2 // max(1, len(callers)))
        self._shared = max(0, permits - self._share * len(callers))
        self._shared_in_use = 0
        self._max_waiting = max_waiting

    def try_acquire(self, caller: str) -> bool:
        """Acquire a permit, from the caller's share first; return False if none is free."""
        if self.in_use[caller] >= self._share_of(caller):
            if self._shared_in_use >= self._shared:
                return False
            self._shared_in_use += 1
        self.in_use[caller] += 1
        return True

    def release(self, caller: str) -> None:
        """Release a permit, to the shared half first."""
        if self.in_use[caller] > self._share_of(caller):
            self._shared_in_use -= 1
        self.in_use[caller] -= 1

    def try_start_waiting(self, caller: str) -> bool:
        """Count a parked request; return False if the caller has too many."""
        if self.waiting[caller] >= self._max_waiting:
            return False
        self.waiting[caller] += 1
        return True

    def stop_waiting(self, caller: str) -> None:
        """Stop counting a parked request."""
        self.waiting[caller] -= 1

    def _share_of(self, caller: str) -> int:
        return self._share if caller in self._callers else 0


class Permit:
    """The permit of one request; a context manager that releases it at the end of the block.

    Created by `Admission.admit`.
    """

    def __init__(self, pool: _PermitPool, caller: str) -> None:
        self._pool = pool
        self._caller = caller
        self._is_held = True
        self._is_waiting = False
        self._is_released = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Release the permit; a second call does nothing."""
        self._is_released = True
        self._release_permit()

    @contextmanager
    def released_while_waiting(self, *, required: bool = True) -> Generator[None]:
        """Release the permit within the block, which waits for a slow event.

        After the block the request acquires a permit again, or finishes without one if none is
        free: the rest of its work is short. Blocks may be nested; only the outermost one counts.

        Args:
            required: whether to raise if the caller has too many parked requests; otherwise the
                request keeps its permit.

        Raises:
            FailureError: OVERLOADED, if the caller has too many parked requests.
        """
        if self._is_waiting or self._is_released:
            yield
            return
        if not self._pool.try_start_waiting(self._caller):
            if required:
                raise _overloaded(self._caller, "requests waiting")
            yield
            return
        self._is_waiting = True
        self._release_permit()
        try:
            yield
        finally:
            self._is_waiting = False
            self._pool.stop_waiting(self._caller)
            self._is_held = not self._is_released and self._pool.try_acquire(self._caller)

    def _release_permit(self) -> None:
        if self._is_held:
            self._is_held = False
            self._pool.release(self._caller)


class Admission:
    """Limits how many requests are in progress, in total and per caller.

    Args:
        permits: maximum number of requests in progress; each known caller has at least one permit,
            even if that exceeds the maximum.
        callers: names of the known callers; other callers can only use the shared half.
        max_waiting: maximum number of parked requests per caller.
        resource: plural noun of the limited resource, for error texts.
    """

    def __init__(
        self,
        permits: int,
        callers: Iterable[str],
        *,
        max_waiting: int = MAX_WAITING_PER_CALLER,
        resource: str = "requests in progress",
    ) -> None:
        self._pool = _PermitPool(permits, frozenset(callers), max_waiting)
        self._resource = resource

    @property
    def in_use(self) -> int:
        """Return the number of permits in use."""
        return self._pool.in_use.total()

    @property
    def waiting(self) -> int:
        """Return the number of parked requests."""
        return self._pool.waiting.total()

    def admit(self, caller: str) -> Permit:
        """Return a permit for a request of a caller; it must be released.

        Raises:
            FailureError: OVERLOADED, if the caller's share and the shared half are in use.
        """
        if not self._pool.try_acquire(caller):
            raise _overloaded(caller, self._resource)
        return Permit(self._pool, caller)


def _overloaded(caller: str, resource: str) -> FailureError:
    owner = f"Identity {caller!r}" if caller else "Open access"
    return FailureError(
        ErrorCode.OVERLOADED,
        f"{owner} has too many {resource}: try again later, or another server.",
    )
