"""Keeping the replies that one connection waits for below what the server stores for it.

A nats-server disconnects a client that reads slower than its messages come, once `max_pending`
bytes wait for it. Many callers that ask for a large value at once would bring their connection
there. So requests with large replies are sent a few at a time.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final

from pylon_client.contract.topology import REPLIES_IN_FLIGHT_BYTES

DEFAULT_REPLY_BYTES: Final = 64 * 1024
"""The size of a reply that is assumed before the first one of its subject."""
RESERVATION_MAX_S: Final = 1.0
"""A reply that takes longer does not come in one burst with the others, and frees its part."""
SUBJECTS_MAX: Final = 512


class ReplyBudget:
    """Delays requests whose replies, by the size of the last ones, would exceed a bound together.

    Args:
        max_bytes: the bound.
        reservation_max_s: after how many seconds a request without a reply no longer counts.
    """

    def __init__(
        self,
        max_bytes: int = REPLIES_IN_FLIGHT_BYTES,
        reservation_max_s: float = RESERVATION_MAX_S,
    ) -> None:
        self._max_bytes = max_bytes
        self._reservation_max_s = reservation_max_s
        self._reserved_bytes = 0
        self._sizes: dict[str, int] = {}
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def reserved_bytes(self) -> int:
        """What the replies that are expected now would have together."""
        return self._reserved_bytes

    def record_size(self, subject: str, size_bytes: int) -> None:
        """Note the size of a reply."""
        self._sizes.pop(subject, None)
        self._sizes[subject] = size_bytes
        if len(self._sizes) > SUBJECTS_MAX:
            del self._sizes[next(iter(self._sizes))]

    @contextlib.asynccontextmanager
    async def reserve(self, subject: str) -> AsyncGenerator[None]:
        """Wait until a reply on this subject fits, and count it within the block."""
        wanted = min(self._sizes.get(subject, DEFAULT_REPLY_BYTES), self._max_bytes)
        await self._acquire(wanted)
        is_reserved = True

        def release() -> None:
            nonlocal is_reserved
            if is_reserved:
                is_reserved = False
                self._release(wanted)

        timer = asyncio.get_running_loop().call_later(self._reservation_max_s, release)
        try:
            yield
        finally:
            timer.cancel()
            release()

    async def _acquire(self, size_bytes: int) -> None:
        if not self._waiters and self._reserved_bytes + size_bytes <= self._max_bytes:
            self._reserved_bytes += size_bytes
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((size_bytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was admitted in the same moment
                self._release(size_bytes)
            self._admit()
            raise

    def _release(self, size_bytes: int) -> None:
        self._reserved_bytes -= size_bytes
        self._admit()

    def _admit(self) -> None:
        while self._waiters:
            wanted, turn = self._waiters[0]
            if not turn.cancelled():
                if self._reserved_bytes + wanted > self._max_bytes:
                    return
                self._reserved_bytes += wanted
                turn.set_result(None)
            self._waiters.popleft()
