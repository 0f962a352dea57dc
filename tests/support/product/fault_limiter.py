"""A limit of faults per response, so that a run on a slow machine makes progress."""

import asyncio
from typing import Final

FAULTS_MAX: Final = 20
"""Maximum faults since the last response; the next fault waits for a response."""


class FaultLimiter:
    """Delays faults when too many have been injected since the last response."""

    def __init__(self) -> None:
        self._faults = 0
        self._may_inject = asyncio.Event()
        self._may_inject.set()

    def reset(self) -> None:
        """Record that a write got its response."""
        self._faults = 0
        self._may_inject.set()

    async def acquire(self) -> None:
        """Return when the next fault may be injected."""
        await self._may_inject.wait()
        self._count()

    def try_acquire(self) -> bool:
        """Return whether a fault may be injected now, and count it."""
        if not self._may_inject.is_set():
            return False
        self._count()
        return True

    def _count(self) -> None:
        self._faults += 1
        if self._faults >= FAULTS_MAX:
            self._may_inject.clear()
