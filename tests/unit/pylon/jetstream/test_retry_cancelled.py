"""A cancellation that the NATS library swallows ends a request to JetStream all the same."""

import asyncio

import pytest

from pylon.jetstream.write_retry import retry_while_unavailable


async def test_an_answer_that_comes_with_a_cancellation_is_not_returned() -> None:
    asked = asyncio.Event()

    async def ask() -> bytes:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return b"the answer came at the same moment"
        raise AssertionError

    task = asyncio.create_task(retry_while_unavailable(ask, "JetStream"))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
