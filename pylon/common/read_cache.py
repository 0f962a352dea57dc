"""One flight per question, and answers that never change kept within a bound of bytes."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pylon_client.contract.failures import ErrorCode, FailureError

V = TypeVar("V")

CACHE_MAX_BYTES: Final = 64 * 1024 * 1024
"""About four hundred subnets of 256 neurons."""


@dataclass(eq=False)
class _Flight(Generic[V]):
    task: asyncio.Task[V]
    waiting: int = 0


class SingleFlight(Generic[V]):
    """Whoever asks the same while it is being found out waits for the same answer.

    A caller that gives up leaves the others undisturbed; when the last one has given up, the
    flight is cancelled. A failure goes to all who wait, and is not remembered.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[V]] = {}

    async def get(self, key: Hashable, fetch: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The answer to `key`, from the flight in the air or from a new one with `fetch`."""
        flight = self._flights.get(key)
        if flight is None:
            flight = _Flight(asyncio.create_task(fetch()))
            self._flights[key] = flight
            flight.task.add_done_callback(lambda _: self._land(key, flight))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done():
                self._land(key, flight)
                flight.task.cancel()

    def _land(self, key: Hashable, flight: _Flight[V]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # those who waited have it; with none left it is no one's


class ReadCache:
    """Encoded answers by key, the least recently used ones forgotten beyond `max_bytes`.

    Only for what never changes: a key must name a block by its hash.

    Attributes:
        hits: how often an answer was kept already.
        misses: how often one had to be fetched.
    """

    def __init__(self, max_bytes: int = CACHE_MAX_BYTES) -> None:
        self.hits = 0
        self.misses = 0
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._flights = SingleFlight[bytes]()

    @property
    def kept_bytes(self) -> int:
        """How many bytes of answers are kept."""
        return self._kept_bytes

    async def get(self, key: Hashable, fetch: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        """The answer to `key`: kept, in the air, or fetched."""
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            self.hits += 1
            return kept

        async def fetch_and_keep() -> bytes:
            self.misses += 1
            answer = await fetch()
            self._keep(key, answer)
            return answer

        return await self._flights.get(key, fetch_and_keep)

    def _keep(self, key: Hashable, answer: bytes) -> None:
        if len(answer) > self._max_bytes:
            return
        self._kept[key] = answer
        self._kept_bytes += len(answer)
        while self._kept_bytes > self._max_bytes:
            _, forgotten = self._kept.popitem(last=False)
            self._kept_bytes -= len(forgotten)


def too_late(timeout_s: float) -> FailureError:
    """What a caller gets whose time ran out before the chain had answered."""
    return FailureError(
        ErrorCode.CHAIN_TIMEOUT, f"The chain did not answer within {timeout_s:g} s."
    )
