"""A thread with its own event loop."""

import asyncio
import contextlib
import threading

import pytest

from pylon.worker import loop_thread
from pylon.worker.loop_thread import LoopThread
from tests.support.product.eventually import HANGS_AFTER_S, eventually


async def test_work_runs_on_the_thread_and_returns_its_result() -> None:
    async def name() -> str:
        return threading.current_thread().name

    async with LoopThread("requests") as thread:
        assert await thread.run(name()) == "requests" != threading.current_thread().name


async def test_errors_of_the_work_are_raised() -> None:
    async def fail() -> None:
        raise LookupError("of the work")

    async with LoopThread("requests") as thread:
        with pytest.raises(LookupError, match="of the work"):
            await thread.run(fail())


async def test_a_cancelled_caller_cancels_the_work() -> None:
    begun, ended = threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with LoopThread("requests") as thread:
        running = asyncio.create_task(thread.run(work()))
        await eventually(begun.is_set)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await eventually(ended.is_set)


async def test_leaving_cancels_what_still_runs_and_ignores_later_calls() -> None:
    begun, ended = threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with LoopThread("requests") as thread:
        running = asyncio.create_task(thread.run(work()))
        await eventually(begun.is_set)
    assert ended.is_set()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    called: list[str] = []
    thread.call_soon(called.append, "late")
    assert not called


async def test_functions_are_called_on_the_thread() -> None:
    names: list[str] = []
    async with LoopThread("requests") as thread:
        thread.call_soon(lambda: names.append(threading.current_thread().name))
        await eventually(lambda: names)
    assert names == ["requests"]


async def test_a_loop_without_heartbeats_is_a_problem_until_it_runs_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop_thread, "HEARTBEAT_INTERVAL_S", 0.005)
    release = threading.Event()
    async with LoopThread("requests", blocked_after_s=0.02, check_interval_s=0.01) as thread:
        thread.call_soon(_blocks, release)
        try:
            await eventually(lambda: thread.problems)
            assert thread.problems[0].startswith("the loop of requests has been blocked for ")
        finally:
            release.set()
        await eventually(lambda: not thread.problems)
    assert "in _blocks" in caplog.text, "the log has the stack of the thread"


def _blocks(release: threading.Event) -> None:
    release.wait(HANGS_AFTER_S)
