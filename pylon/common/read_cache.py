"""Sharing of concurrent reads, and a cache of immutable results bounded by bytes."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from cachetools import LRUCache

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

    Attributes:
        started_calls: number of calls of `fetch` so far.
    """

    def __init__(self) -> None:
        self.started_calls = 0
        self._calls: dict[Hashable, _SharedCall[V]] = {}

    async def get(self, key: Hashable, fetch: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return the result for `key`, from the call in progress or from a new call of `fetch`."""
        flight = self._calls.get(key)
        if flight is None:
            flight = _SharedCall(asyncio.create_task(fetch()))
            self._calls[key] = flight
            self.started_calls += 1
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
    """

    def __init__(self, max_bytes: int = MAX_CACHE_BYTES) -> None:
        self.hits = 0
        self._cache = LRUCache[Hashable, bytes](max_bytes, getsizeof=len)
        self._single_flight = SingleFlight[bytes]()

    @property
    def misses(self) -> int:
        """Return the number of reads that were fetched."""
        return self._single_flight.started_calls

    @property
    def size_bytes(self) -> int:
        """Return the size of the cached results, in bytes."""
        return int(self._cache.currsize)

    async def get(self, key: Hashable, fetch: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        """Return the cached result for `key`, or call `fetch` once for all concurrent callers."""
        cached = self._cache.get(key)
        if cached is not None:
            self.hits += 1
            return cached
        result = await self._single_flight.get(key, fetch)
        with contextlib.suppress(ValueError):  # larger than the whole cache
            self._cache[key] = result
        return result
