"""Sharing of concurrent reads, and a cache of immutable results bounded by bytes."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pylon_client.contract.failures import ErrorCode, FailureError

V = TypeVar("V")

MAX_CACHE_BYTES: Final = 64 * 1024 * 1024
"""Default size of the cache, in bytes: about 400 subnets with 256 neurons each."""


@dataclass(eq=False)
class _SharedCall(Generic[V]):
    task: asyncio.Task[V]
    waiters: int = 0


class SingleFlight(Generic[V]):
    """Shares one call between all concurrent callers with the same key.

    The cancellation of a caller does not affect the others; when the last caller is cancelled, the
    call is cancelled. An error is raised to all waiting callers, and is not cached.
    """

    def __init__(self) -> None:
        self._calls: dict[Hashable, _SharedCall[V]] = {}

    async def get(self, key: Hashable, fetch: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return the result for `key`, from the call in progress or from a new call of `fetch`."""
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
            call.task.exception()  # retrieved, so that asyncio does not log it


class ReadCache:
    """An LRU cache of encoded results, bounded by their bytes.

    For immutable results only: a key must contain the hash of a block.

    Attributes:
        hits: number of reads that were served from the cache.
        misses: number of reads that were fetched.
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
        """Return the size of the cached results, in bytes."""
        return self._size_bytes

    async def get(self, key: Hashable, fetch: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        """Return the cached result for `key`, or call `fetch` once for all concurrent callers."""
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
    """Return the error of a caller whose timeout expired before the chain responded."""
    return FailureError(
        ErrorCode.CHAIN_TIMEOUT, f"The chain did not answer within {timeout_s:g} s."
    )
