"""Retries of the client."""

import asyncio
import threading

import pytest
from tenacity import RetryCallState, stop_after_attempt, wait_none

from pylon_client.retry import is_worth_retrying
from pylon_client.testing import (
    FakePylon,
    operations,
    sample_neurons,
)
from pylon_client.v1 import (
    ASYNC_DEFAULT_RETRIES,
    ErrorCode,
    NetUid,
    PylonBadGateway,
)


@pytest.fixture
def pylon() -> FakePylon:
    pylon = FakePylon()
    pylon.answer(operations.LATEST_NEURONS, sample_neurons(count=2))
    return pylon


async def test_retries_can_be_disabled(pylon: FakePylon) -> None:
    pylon.fail(operations.LATEST_NEURONS, ErrorCode.CHAIN_UNAVAILABLE, times=None)
    retry = ASYNC_DEFAULT_RETRIES.copy(stop=stop_after_attempt(1))
    async with pylon.async_client(retry=retry) as client:
        with pytest.raises(Exception, match="A test said so"):
            await client.open_access.get_latest_neurons(NetUid(1))
    assert len(pylon.calls) == 1


async def test_concurrent_calls_each_have_their_own_attempts(pylon: FakePylon) -> None:
    async def decide_slowly(state: RetryCallState) -> bool:
        await asyncio.sleep(0)
        error = state.outcome.exception() if state.outcome else None
        return error is not None and is_worth_retrying(error)

    pylon.fail(operations.LATEST_NEURONS, ErrorCode.CHAIN_UNAVAILABLE, times=None)
    retry = ASYNC_DEFAULT_RETRIES.copy(wait=wait_none(), retry=decide_slowly)
    async with pylon.async_client(retry=retry) as client:
        outcomes = await asyncio.gather(
            *(client.open_access.get_latest_neurons(NetUid(1)) for _ in range(20)),
            return_exceptions=True,
        )
    assert [type(outcome) for outcome in outcomes] == [PylonBadGateway] * 20
    assert len(pylon.calls) == 60


def test_concurrent_threads_each_have_their_own_attempts(pylon: FakePylon) -> None:
    pylon.fail(operations.LATEST_NEURONS, ErrorCode.CHAIN_UNAVAILABLE, times=None)
    raised: list[str] = []
    with pylon.client() as client:

        def call() -> None:
            try:
                client.open_access.get_latest_neurons(NetUid(1))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is counted below
                raised.append(type(error).__name__)

        threads = [threading.Thread(target=call) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert raised == ["PylonBadGateway"] * 20
    assert len(pylon.calls) == 60
