"""One flight per question, and answers that never change kept within a bound of bytes."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pylon_client.contract.failures import ErrorCode, FailureError

V = TypeVar("V")

MAX_CACHE_BYTES: Final = 64 * 1024 * 1024
"""About four hundred subnets of 256 neurons."""


@dataclass(eq=False)
class _SharedCall(Generic[V]):
    task: asyncio.Task[V]
    waiters: int = 0


class SingleFlight(Generic[V]):
    """Whoever asks the same while it is being found out waits for the same answer.

    A caller that gives up leaves the others undisturbed; when the last one has given up, the
    flight is cancelled. A failure goes to all who wait, and is not remembered.
    """

    def __init__(self) -> None:
        self._calls: dict[Hashable, _SharedCall[V]] = {}

    async def get(self, key: Hashable, fetch: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The answer to `key`, from the flight in the air or from a new one with `fetch`."""
        flight = self._calls.get(key)
        if flight is None:
            flight = _SharedCall(asyncio.create_task(fetch()))
            self._calls[key] = flight
            flight.task.add_done_callback(lambda _: self._finish(key, flight))
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and not flight.task.done():
                self._finish(key, flight)
                flight.task.cancel()

    def _finish(self, key: Hashable, call: _SharedCall[V]) -> None:
        if self._calls.get(key) is call:
            del self._calls[key]
        if call.task.done() and not call.task.cancelled():
            call.task.exception()  # those who waited have it; with none left it is no one's


class ReadCache:
    """Encoded answers by key, the least recently used ones forgotten beyond `max_bytes`.

    Only for what never changes: a key must name a block by its hash.

    Attributes:
        hits: how often an answer was kept already.
        misses: how often one had to be fetched.
    """

    def __init__(self, max_bytes: int = MAX_CACHE_BYTES) -> None:
        self.hits = 0
        self.misses = 0
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, bytes] = OrderedDict()
        self._size_bytes = 0
        self._single_flight = SingleFlight[bytes]()

    @property
    def size_bytes(self) -> int:
        """How many bytes of answers are kept."""
        return self._size_bytes

    async def get(self, key: Hashable, fetch: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        """The answer to `key`: kept, in the air, or fetched."""
        kept = self._entries.get(key)
        if kept is not None:
            self._entries.move_to_end(key)
            self.hits += 1
            return kept

        async def fetch_and_keep() -> bytes:
            self.misses += 1
            answer = await fetch()
            self._put(key, answer)
            return answer

        return await self._single_flight.get(key, fetch_and_keep)

    def _put(self, key: Hashable, value: bytes) -> None:
        if len(value) > self._max_bytes:
            return
        self._entries[key] = value
        self._size_bytes += len(value)
        while self._size_bytes > self._max_bytes:
            _, forgotten = self._entries.popitem(last=False)
            self._size_bytes -= len(forgotten)


def chain_timeout_error(timeout_s: float) -> FailureError:
    """What a caller gets whose time ran out before the chain had answered."""
    return FailureError(
        ErrorCode.CHAIN_TIMEOUT, f"The chain did not answer within {timeout_s:g} s."
    )
