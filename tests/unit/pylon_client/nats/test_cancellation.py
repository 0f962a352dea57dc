"""Cancellation of tasks that wait for NATS, even when the reply arrives at the same time."""

import asyncio
from typing import Any

import pytest
from nats.aio.client import Client

from pylon_client.nats.nats_client import PylonNatsClient
from tests.support.product.eventually import HANGS_AFTER_S


@pytest.mark.parametrize("ask", ["request", "flush"])
@pytest.mark.parametrize("answer", ["answered", "failed"])
@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_cancellation_that_arrives_with_the_reply_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, *, ask: str, answer: str, cancelled: bool
) -> None:
    asked = asyncio.Event()
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def wait(*_: object) -> Any:
        asked.set()
        return await asyncio.wait_for(answered, HANGS_AFTER_S)  # as the library waits

    monkeypatch.setattr(Client, ask, wait)
    client = PylonNatsClient()
    asking = asyncio.create_task(client.flush() if ask == "flush" else client.request("subject"))
    await asked.wait()
    if answer == "answered":
        answered.set_result("message")
    else:
        answered.set_exception(ConnectionError())
    if cancelled:
        asking.cancel()
    await asyncio.wait({asking}, timeout=HANGS_AFTER_S)
    assert asking.cancelled() is cancelled
    if not cancelled:
        assert (asking.exception() is not None) is (answer == "failed")


async def test_clean_up_after_a_cancellation_can_send_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def request(*_: object) -> Any:
        await asyncio.sleep(0)
        return "message"

    monkeypatch.setattr(Client, "request", request)
    answers: list[object] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            answers.extend([await PylonNatsClient().request("subject") for _ in range(2)])

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait({working}, timeout=HANGS_AFTER_S)
    assert answers == ["message", "message"]
    assert working.cancelled()
