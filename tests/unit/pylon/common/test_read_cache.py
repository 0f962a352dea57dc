"""Shared calls, and the bound of the cache."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.common.read_cache import ReadCache, SingleFlight
from pylon_client.contract.failures import ErrorCode, FailureError


class Question:
    """Counts how often it is answered; answers when released."""

    def __init__(self, answer: bytes = b"answer") -> None:
        self.asked = 0
        self.cancelled = 0
        self.release = asyncio.Event()
        self.failure: Exception | None = None
        self._answer = answer

    async def __call__(self) -> bytes:
        self.asked += 1
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        return self._answer


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_two_hundred_concurrent_callers_cause_one_fetch() -> None:
    cache, question = ReadCache(), Question()
    asking = [asyncio.create_task(cache.get("key", question)) for _ in range(200)]
    await settle()
    question.release.set()
    assert await asyncio.gather(*asking) == [b"answer"] * 200
    assert await cache.get("key", question) == b"answer"
    assert question.asked == 1


async def test_a_cancelled_caller_does_not_affect_the_others() -> None:
    cache, question = ReadCache(), Question()
    first, second = (asyncio.create_task(cache.get("key", question)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    question.release.set()
    assert await second == b"answer"
    assert (question.asked, question.cancelled, first.cancelled()) == (1, 0, True)


async def test_the_call_is_cancelled_with_its_last_caller_and_the_next_starts_another() -> None:
    cache, question = ReadCache(), Question()
    asking = [asyncio.create_task(cache.get("key", question)) for _ in range(3)]
    await settle()
    for task in asking:
        task.cancel()
    await settle()
    assert question.cancelled == 1
    question.release.set()
    assert await cache.get("key", question) == b"answer"
    assert question.asked == 2


async def test_an_error_is_raised_to_all_callers_and_not_cached() -> None:
    cache, question = ReadCache(), Question()
    question.failure = FailureError(ErrorCode.CHAIN_UNAVAILABLE, "down")
    asking = [asyncio.create_task(cache.get("key", question)) for _ in range(3)]
    await settle()
    question.release.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert results == [question.failure] * 3
    question.failure = None
    assert await cache.get("key", question) == b"answer"
    assert question.asked == 2


async def test_a_single_flight_does_not_cache() -> None:
    flights, question = SingleFlight[bytes](), Question()
    question.release.set()
    await flights.get("key", question)
    await flights.get("key", question)
    assert question.asked == 2


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=60),
    st.integers(0, 100),
)
def test_the_cache_is_bounded_and_keeps_the_most_recently_used(
    uses: list[tuple[int, int]], max_bytes: int
) -> None:
    sizes = dict(uses)
    keys = [key for key, _ in uses]

    async def scenario() -> None:
        cache = ReadCache(max_bytes)
        model: list[int] = []  # keys, the most recently used last
        for key in keys:
            size = sizes[key]
            fetched = False

            async def fetch() -> bytes:
                nonlocal fetched
                fetched = True
                return b"x" * size  # noqa: B023 - awaited within this turn of the loop

            assert await cache.get(key, fetch) == b"x" * size
            assert fetched is (key not in model)
            if key in model:
                model.remove(key)
            if size <= max_bytes:
                model.append(key)
            while sum(sizes[kept] for kept in model) > max_bytes:
                model.pop(0)
            assert cache.size_bytes == sum(sizes[kept] for kept in model) <= max_bytes

    asyncio.run(scenario())


async def test_a_result_above_the_bound_is_returned_and_not_cached() -> None:
    cache, question = ReadCache(max_bytes=3), Question()
    question.release.set()
    assert await cache.get("key", question) == b"answer"
    assert cache.size_bytes == 0


async def test_waiting_for_a_flight_can_be_bounded_by_each_caller() -> None:
    cache, question = ReadCache(), Question()
    patient = asyncio.create_task(cache.get("key", question))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await cache.get("key", question)
    question.release.set()
    assert await patient == b"answer"
    assert question.asked == 1
