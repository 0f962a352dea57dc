"""Tasks that run until a stop event, and tasks that finish together."""

import asyncio

import pytest

from pylon.common.tasks import cancel_and_wait, finish_all, run_until_stopped


async def test_the_result_is_returned_if_no_stop_is_set() -> None:
    assert await run_until_stopped(asyncio.Event(), asyncio.sleep(0, "done")) == "done"


async def test_a_stop_cancels_the_work() -> None:
    stop, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "done"

    asyncio.get_running_loop().call_soon(stop.set)
    assert await run_until_stopped(stop, work()) is None
    assert cancelled.is_set()


async def test_an_error_of_the_work_is_raised() -> None:
    async def work() -> None:
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        await run_until_stopped(asyncio.Event(), work())


async def test_cancelled_tasks_have_ended() -> None:
    tasks = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
    await asyncio.sleep(0)
    await cancel_and_wait(tasks)
    assert all(task.cancelled() for task in tasks)


async def test_a_failure_is_raised_after_all_work_has_ended() -> None:
    ended: list[str] = []

    async def fail() -> None:
        raise ValueError("failed")

    async def work() -> str:
        await asyncio.sleep(0)
        ended.append("work")
        return "done"

    with pytest.raises(ValueError, match="failed"):
        await finish_all(fail(), work())
    assert ended == ["work"]
    assert await finish_all(work(), work(), asyncio.sleep(0, 1)) == ("done", "done", 1)
