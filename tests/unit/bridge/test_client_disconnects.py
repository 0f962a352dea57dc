import asyncio
from typing import Any

import pytest
from fastapi import Request

from bridge.client_disconnects import cancel_on_disconnect
from pylon_client.contract.failures import ErrorCode, FailureError


def request_of(messages: "asyncio.Queue[dict[str, Any]]") -> Request:
    return Request({"type": "http"}, messages.get)


async def test_a_block_ends_normally_while_the_client_is_connected() -> None:
    async with cancel_on_disconnect(request_of(asyncio.Queue())):
        await asyncio.sleep(0)


async def test_an_error_of_the_block_is_raised() -> None:
    with pytest.raises(ValueError, match="broken"):
        async with cancel_on_disconnect(request_of(asyncio.Queue())):
            raise ValueError("broken")


async def test_a_disconnect_cancels_the_block() -> None:
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    cancelled = asyncio.Event()

    async def work() -> None:
        messages.put_nowait({"type": "http.request"})
        messages.put_nowait({"type": "http.disconnect"})
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(FailureError) as caught:
        async with cancel_on_disconnect(request_of(messages)):
            await work()
    assert caught.value.code is ErrorCode.CANCELLED
    assert cancelled.is_set()
    await asyncio.sleep(0)  # no cancellation is left over


async def test_another_cancellation_is_raised_as_it_is() -> None:
    async def block() -> None:
        async with cancel_on_disconnect(request_of(asyncio.Queue())):
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_disconnect_together_with_the_end_of_the_block_cancels_nothing_later() -> None:
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with cancel_on_disconnect(request_of(messages)):
        await asyncio.sleep(0)
        messages.put_nowait({"type": "http.disconnect"})
        await asyncio.sleep(0)  # the watcher is about to end
    for _ in range(5):
        await asyncio.sleep(0)
