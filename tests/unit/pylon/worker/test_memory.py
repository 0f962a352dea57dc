"""The limit on resident memory."""

import asyncio

import pytest

from pylon.worker import memory


def test_the_resident_memory_of_this_process_is_known() -> None:
    resident = memory.resident_bytes()
    assert resident is None or resident > memory.MIB


async def test_the_wait_ends_when_the_memory_exceeds_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = iter([None, 10, 20, 30])
    monkeypatch.setattr(memory, "resident_bytes", lambda: next(values))
    assert await memory.wait_until_exceeded(20, interval_s=0) == 30


async def test_without_a_limit_the_wait_does_not_end() -> None:
    waiting = asyncio.create_task(memory.wait_for_memory_limit(None))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
