import asyncio

import pytest
from tenacity import stop_after_attempt

from pylon_client.cached_value import CachedValue
from pylon_client.v1 import (
    ASYNC_DEFAULT_RETRIES,
    AsyncConfig,
    AsyncPylonClient,
    NetUid,
    PylonClosed,
    PylonTimeout,
    PylonTimeoutException,
)
from tests.support.nats.scripted_service import OPEN_TOKEN


class Made:
    """Counts how often it is made, and ends a making when it is told to."""

    def __init__(self) -> None:
        self.count = 0
        self.ready = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.count += 1
        await self.ready.wait()
        if self.error is not None:
            raise self.error
        return self.count


async def all_waiting(shared: CachedValue[int], made: Made, count: int) -> list[asyncio.Task[int]]:
    waiting = [asyncio.create_task(shared.get()) for _ in range(count)]
    while made.count == 0:
        await asyncio.sleep(0)
    return waiting


async def test_concurrent_callers_share_one_creation_and_its_failure() -> None:
    made = Made()
    shared = CachedValue(made)
    waiting = await all_waiting(shared, made, 20)
    made.error = OSError("down")
    made.ready.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["down"] * 20
    assert made.count == 1
    made.error = None
    assert await shared.get() == await shared.get() == 2


async def test_a_cancelled_caller_does_not_cancel_the_creation_for_others() -> None:
    made = Made()
    shared = CachedValue(made)
    first, second = await all_waiting(shared, made, 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    made.ready.set()
    assert await second == 1


async def test_only_the_invalidated_value_is_created_again() -> None:
    made = Made()
    made.ready.set()
    shared = CachedValue(made)
    assert await shared.get() == 1
    shared.invalidate(1)
    assert await shared.get() == 2
    shared.invalidate(1)
    assert await shared.get() == 2
    assert await shared.close() == 2
    assert await shared.close() is None


async def test_closing_ends_the_wait_of_all_callers() -> None:
    made = Made()
    shared = CachedValue(made)
    waiting = await all_waiting(shared, made, 3)
    assert await shared.close() is None
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [PylonClosed] * 3


async def test_concurrent_calls_to_a_nats_server_that_hangs_share_one_connect_per_attempt() -> None:
    accepted: list[asyncio.StreamWriter] = []

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        config = AsyncConfig(
            address=f"nats://127.0.0.1:{port}",
            open_access_token=OPEN_TOKEN,
            timeout=PylonTimeout(connect=0.3),
            retry=ASYNC_DEFAULT_RETRIES.copy(stop=stop_after_attempt(1)),
        )
        async with AsyncPylonClient(config) as client:
            outcomes = await asyncio.gather(
                *(client.open_access.get_latest_neurons(NetUid(1)) for _ in range(30)),
                return_exceptions=True,
            )
        assert [type(outcome) for outcome in outcomes] == [PylonTimeoutException] * 30
        assert len(accepted) == 1
        for writer in accepted:
            writer.close()
