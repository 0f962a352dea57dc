"""Admission of concurrent work, with a share for each caller.

Half of the places are divided equally among the known callers, the other half is shared. A caller
first uses its own share. So no caller, however many requests it sends, can refuse those of others.
"""

from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from pylon_client.contract.failures import ErrorCode, FailureError

OPEN_CALLER: Final = ""
"""The caller that all requests of open access share; no identity has this name."""
MAX_PARKED: Final = 256
"""Maximum number of parked requests per caller: each costs some kilobytes of memory."""


class _PermitPool:
    """Which places are in use, by caller."""

    def __init__(self, permits: int, callers: frozenset[str], max_parked: int) -> None:
        self.in_use: Final = Counter[str]()
        self.parked: Final = Counter[str]()
        self._callers = callers
        self._share = max(1, permits // 2 // max(1, len(callers)))
        self._shared = max(0, permits - self._share * len(callers))
        self._shared_in_use = 0
        self._max_parked = max_parked

    def try_acquire(self, caller: str) -> bool:
        """Take a place, the caller's own before a shared one; False where none is free."""
        if self.in_use[caller] >= self._share_of(caller):
            if self._shared_in_use >= self._shared:
                return False
            self._shared_in_use += 1
        self.in_use[caller] += 1
        return True

    def release(self, caller: str) -> None:
        """Give a place back, a shared one before the caller's own."""
        if self.in_use[caller] > self._share_of(caller):
            self._shared_in_use -= 1
        self.in_use[caller] -= 1

    def park(self, caller: str) -> bool:
        """Count a parked request; False where the caller has too many."""
        if self.parked[caller] >= self._max_parked:
            return False
        self.parked[caller] += 1
        return True

    def unpark(self, caller: str) -> None:
        """Count a parked request no more."""
        self.parked[caller] -= 1

    def _share_of(self, caller: str) -> int:
        return self._share if caller in self._callers else 0


class Permit:
    """The place of one request; as a context manager, it is released at the end of the block.

    Made by `Admission.admit`.
    """

    def __init__(self, pool: _PermitPool, caller: str) -> None:
        self._pool = pool
        self._caller = caller
        self._is_held = True
        self._is_parked = False
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
        """Give the place back; a second call does nothing."""
        self._is_released = True
        self._release_permit()

    @contextmanager
    def parked(self, *, required: bool = True) -> Generator[None]:
        """Give the place back within the block, which waits for something slow.

        After the block the request takes a place again, or finishes without one when none is free:
        what is left of it is short. Blocks may be nested; the outermost one counts.

        Args:
            required: whether to raise when the caller has too many parked requests; otherwise the
                request keeps its place.

        Raises:
            FailureError: OVERLOADED, when the caller has too many parked requests.
        """
        if self._is_parked or self._is_released:
            yield
            return
        if not self._pool.park(self._caller):
            if required:
                raise _overloaded(self._caller, "requests waiting")
            yield
            return
        self._is_parked = True
        self._release_permit()
        try:
            yield
        finally:
            self._is_parked = False
            self._pool.unpark(self._caller)
            self._is_held = not self._is_released and self._pool.try_acquire(self._caller)

    def _release_permit(self) -> None:
        if self._is_held:
            self._is_held = False
            self._pool.release(self._caller)


class Admission:
    """Limits how many requests are in progress, in total and per caller.

    Args:
        permits: maximum number of requests in progress; each known caller has at least one place,
            even where that is more.
        callers: the known callers. Others can use the shared half only.
        max_parked: maximum number of parked requests per caller.
        resource: what is limited, in the plural, for the text of a refusal.
    """

    def __init__(
        self,
        permits: int,
        callers: Iterable[str],
        *,
        max_parked: int = MAX_PARKED,
        resource: str = "requests in progress",
    ) -> None:
        self._pool = _PermitPool(permits, frozenset(callers), max_parked)
        self._resource = resource

    @property
    def in_use(self) -> int:
        """How many places are in use."""
        return self._pool.in_use.total()

    @property
    def parked(self) -> int:
        """How many requests wait without a place."""
        return self._pool.parked.total()

    def admit(self, caller: str) -> Permit:
        """Return a place for a request of a caller; it must be released.

        Raises:
            FailureError: OVERLOADED, when the caller's share and the shared half are in use.
        """
        if not self._pool.try_acquire(caller):
            raise _overloaded(caller, self._resource)
        return Permit(self._pool, caller)


def _overloaded(caller: str, what: str) -> FailureError:
    owner = f"Identity {caller!r}" if caller else "Open access"
    return FailureError(
        ErrorCode.OVERLOADED, f"{owner} has too many {what}: try again later, or another server."
    )
