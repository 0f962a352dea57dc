"""Limit of the bytes of outstanding replies per connection.

A nats-server disconnects a slow client once `max_pending` bytes are queued for it. Many concurrent
requests for a large value could reach that limit. `ReplyBudget` sends such requests in small
batches.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final

from pylon_client.contract.topology import REPLIES_IN_FLIGHT_BYTES

DEFAULT_REPLY_BYTES: Final = 64 * 1024
"""Assumed size of the first reply of a subject, in bytes."""
MAX_RESERVATION_S: Final = 1.0
"""Seconds after which a reservation ends without a reply: a slow reply is not part of a burst."""
MAX_SUBJECTS: Final = 512
"""Maximum number of subjects whose reply sizes are stored."""


class ReplyBudget:
    """Delays requests while the expected replies would exceed a limit.

    The expected size of a reply is the size of the last reply of its subject.

    Args:
        max_bytes: maximum size of the expected replies together.
        max_reservation_s: seconds after which a request without a reply no longer counts.
    """

    def __init__(
        self,
        max_bytes: int = REPLIES_IN_FLIGHT_BYTES,
        max_reservation_s: float = MAX_RESERVATION_S,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_reservation_s = max_reservation_s
        self._reserved_bytes = 0
        self._sizes: dict[str, int] = {}
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def reserved_bytes(self) -> int:
        """Return the size of the expected replies together."""
        return self._reserved_bytes

    def record_size(self, subject: str, size_bytes: int) -> None:
        """Record the size of a reply of a subject."""
        self._sizes.pop(subject, None)
        self._sizes[subject] = size_bytes
        if len(self._sizes) > MAX_SUBJECTS:
            del self._sizes[next(iter(self._sizes))]

    @contextlib.asynccontextmanager
    async def reserve(self, subject: str) -> AsyncGenerator[None]:
        """Wait until a reply of this subject fits, and count it within the block."""
        size_bytes = min(self._sizes.get(subject, DEFAULT_REPLY_BYTES), self._max_bytes)
        await self._acquire(size_bytes)
        is_reserved = True

        def release() -> None:
            nonlocal is_reserved
            if is_reserved:
                is_reserved = False
                self._release(size_bytes)

        timer = asyncio.get_running_loop().call_later(self._max_reservation_s, release)
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
            if not turn.cancelled():  # admitted in the same iteration of the event loop
                self._release(size_bytes)
            self._admit()
            raise

    def _release(self, size_bytes: int) -> None:
        self._reserved_bytes -= size_bytes
        self._admit()

    def _admit(self) -> None:
        while self._waiters:
            size_bytes, turn = self._waiters[0]
            if not turn.cancelled():
                if self._reserved_bytes + size_bytes > self._max_bytes:
                    return
                self._reserved_bytes += size_bytes
                turn.set_result(None)
            self._waiters.popleft()
