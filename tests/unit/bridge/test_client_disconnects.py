import asyncio
from typing import Any

import pytest
from fastapi import Request

from bridge.client_disconnects import cancel_on_disconnect
from pylon_client.contract.failures import ErrorCode, FailureError


def request_of(messages: "asyncio.Queue[dict[str, Any]]") -> Request:
    return Request({"type": "http"}, messages.get)


async def test_the_result_is_returned_while_the_client_is_connected() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await cancel_on_disconnect(request_of(asyncio.Queue()), work()) == 7


async def test_an_error_of_the_work_is_raised() -> None:
    async def work() -> int:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await cancel_on_disconnect(request_of(asyncio.Queue()), work())


async def test_a_disconnect_cancels_the_work() -> None:
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
        await cancel_on_disconnect(request_of(messages), work())
    assert caught.value.code is ErrorCode.CANCELLED
    assert cancelled.is_set()
