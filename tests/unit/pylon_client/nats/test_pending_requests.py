"""Pending requests time out, or are failed early."""

import asyncio

import pytest

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats.pending_requests import PendingRequests
from tests.support.product.eventually import HANGS_AFTER_S

FAILURE = FailureError(ErrorCode.NATS_UNAVAILABLE, "lost")


async def wait_for_ever(pending: PendingRequests, subject: str) -> None:
    async with pending.wait(subject, HANGS_AFTER_S):
        await asyncio.Event().wait()


async def test_a_request_times_out() -> None:
    with pytest.raises(TimeoutError):
        async with PendingRequests().wait("a", 0.01):
            await asyncio.Event().wait()


async def test_failing_ends_all_pending_requests() -> None:
    pending = PendingRequests()
    tasks = [asyncio.create_task(wait_for_ever(pending, subject)) for subject in "ab"]
    await asyncio.sleep(0)
    pending.fail(FAILURE)
    assert await asyncio.gather(*tasks, return_exceptions=True) == [FAILURE, FAILURE]


async def test_failing_can_select_requests_by_subject() -> None:
    pending = PendingRequests()
    first, second = (asyncio.create_task(wait_for_ever(pending, subject)) for subject in "ab")
    await asyncio.sleep(0)
    pending.fail(FAILURE, matching=lambda subject: subject == "b")
    with pytest.raises(FailureError, match="lost"):
        await second
    assert not first.done()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_later_failure_does_not_reach_finished_requests() -> None:
    pending = PendingRequests()
    async with pending.wait("a", HANGS_AFTER_S):
        pass
    pending.fail(FAILURE)
