"""How many large replies one connection waits for at once."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from pylon_client.nats.reply_budget import DEFAULT_REPLY_BYTES, ReplyBudget
from tests.support.product.eventually import eventually

MOST = 1_000_000
LARGE, SMALL = "neurons", "block"


@pytest.fixture
def budget() -> ReplyBudget:
    made = ReplyBudget(MOST, max_reservation_s=3600)
    made.record_size(LARGE, 400_000)
    made.record_size(SMALL, 100)
    return made


class Request:
    """A request that waits until it is answered."""

    def __init__(self, budget: ReplyBudget, subject: str) -> None:
        self.is_sent = False
        self.answered = asyncio.Event()
        self.task = asyncio.create_task(self._run(budget, subject))

    async def _run(self, budget: ReplyBudget, subject: str) -> None:
        async with budget.reserve(subject):
            self.is_sent = True
            await self.answered.wait()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_expected_replies_stay_below_the_limit_in_fifo_order(
    budget: ReplyBudget,
) -> None:
    requests = [Request(budget, LARGE) for _ in range(5)]
    await settled()
    assert [request.is_sent for request in requests] == [True, True, False, False, False]
    for number in range(5):
        assert budget.reserved_bytes <= MOST
        requests[number].answered.set()
        await requests[number].task
        await settled()
        assert all(request.is_sent for request in requests[: number + 3])
    assert budget.reserved_bytes == 0


async def test_small_replies_are_requested_concurrently(budget: ReplyBudget) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(1000):
            await stack.enter_async_context(budget.reserve(SMALL))
        assert budget.reserved_bytes == 100_000


async def test_a_reply_larger_than_the_limit_is_requested_alone(budget: ReplyBudget) -> None:
    budget.record_size("huge", 50 * MOST)
    async with budget.reserve("huge"):
        assert budget.reserved_bytes == MOST


async def test_a_first_reply_has_the_assumed_size(budget: ReplyBudget) -> None:
    async with budget.reserve("unknown"):
        assert budget.reserved_bytes == DEFAULT_REPLY_BYTES


async def test_a_cancelled_request_does_not_block_others(budget: ReplyBudget) -> None:
    first, second, large = (Request(budget, LARGE) for _ in range(3))
    await settled()
    small = Request(budget, SMALL)
    await settled()
    assert not large.is_sent
    assert not small.is_sent
    large.task.cancel()
    await settled()
    assert small.is_sent
    first.task.cancel()
    second.task.cancel()
    small.answered.set()
    await settled()
    assert budget.reserved_bytes == 0


async def test_a_slow_reply_does_not_block_others() -> None:
    budget = ReplyBudget(MOST, max_reservation_s=0.01)
    budget.record_size(LARGE, MOST)
    slow, next_one = Request(budget, LARGE), Request(budget, LARGE)
    await eventually(lambda: next_one.is_sent)
    assert not slow.task.done()
    for request in (slow, next_one):
        request.answered.set()
        await request.task
    assert budget.reserved_bytes == 0
