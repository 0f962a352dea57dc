"""A failed part is restarted and counted, and does not affect the others."""

import asyncio
import itertools
import logging

import pytest

from pylon.common.task_supervisor import FAILING_AFTER, TaskSupervisor
from tests.support.product.eventually import eventually


class Clock:
    """Time that a test advances."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class FinalError(Exception):
    """An error that a restart cannot help."""


def is_final(error: Exception) -> bool:
    return isinstance(error, FinalError)


def quick(clock: Clock | None = None) -> TaskSupervisor:
    return TaskSupervisor(
        is_final, initial_delay_s=0.0, max_delay_s=0.0, steady_after_s=60, clock=clock or Clock()
    )


async def test_a_failed_part_starts_again_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    supervisor = quick()
    started, others = 0, 0
    done = asyncio.Event()

    async def fails_twice() -> None:
        nonlocal started
        started += 1
        if started < 3:
            raise TypeError("no answer of the library's")
        await done.wait()

    async def goes_on() -> None:
        nonlocal others
        others += 1
        await done.wait()

    with caplog.at_level(logging.ERROR):
        async with asyncio.TaskGroup() as group:
            group.create_task(supervisor.supervise("one", fails_twice))
            group.create_task(supervisor.supervise("other", goes_on))
            await eventually(lambda: started == 3)
            assert supervisor.failing == []
            done.set()
    assert others == 1
    assert supervisor.restarts == {"one": 2, "other": 0}
    failures = [record for record in caplog.records if "one failed" in record.message]
    assert ["TypeError" in record.message for record in failures] == [True, True]
    # Both have the same cause, and its traceback is logged once.
    assert [record.exc_info is not None for record in failures] == [True, False]


async def test_a_part_that_fails_again_and_again_is_failing_until_it_runs_well() -> None:
    clock = Clock()
    supervisor = quick(clock)
    started = 0
    done = asyncio.Event()

    async def fails() -> None:
        nonlocal started
        started += 1
        if started <= FAILING_AFTER:
            raise ValueError
        await done.wait()

    task = asyncio.create_task(supervisor.supervise("part", fails))
    await eventually(lambda: started > FAILING_AFTER)
    assert supervisor.failing == ["part"]
    clock.now_s = 61.0
    assert supervisor.failing == []
    done.set()
    await task
    assert supervisor.restarts["part"] == FAILING_AFTER


async def test_failures_far_apart_are_not_failing() -> None:
    clock = Clock()
    supervisor = quick(clock)
    seen: list[list[str]] = []

    async def runs_well_then_fails() -> None:
        seen.append(supervisor.failing)
        if len(seen) > 2 * FAILING_AFTER:
            return
        clock.now_s += 61.0
        raise ValueError

    await supervisor.supervise("part", runs_well_then_fails)
    assert not any(seen)


async def test_the_pauses_grow_to_a_bound() -> None:
    supervisor = TaskSupervisor(initial_delay_s=0.001, max_delay_s=0.02)
    at_s: list[float] = []

    async def fails() -> None:
        at_s.append(asyncio.get_running_loop().time())
        if len(at_s) < 8:
            raise ValueError

    await supervisor.supervise("part", fails)
    waited_s = [later - earlier for earlier, later in itertools.pairwise(at_s)]
    # The least that each pause may be: half of 1, 2, 4, 8, 16, 20 and 20 ms.
    least_s = [min(0.001 * 2**count, 0.02) / 2 for count in range(7)]
    assert all(waited >= least for waited, least in zip(waited_s, least_s, strict=True))


async def test_a_final_error_passes() -> None:
    supervisor = quick()

    async def is_refused() -> None:
        raise FinalError

    with pytest.raises(FinalError):
        await supervisor.supervise("part", is_refused)
    assert supervisor.restarts == {"part": 0}
    assert not supervisor.failing


async def test_a_cancellation_ends_a_part_and_its_pause() -> None:
    supervisor = TaskSupervisor(initial_delay_s=1000, max_delay_s=1000)
    failed = asyncio.Event()

    async def fails() -> None:
        failed.set()
        raise ValueError

    async def waits() -> None:
        await asyncio.Event().wait()

    tasks = [
        asyncio.create_task(supervisor.supervise("pauses", fails)),
        asyncio.create_task(supervisor.supervise("runs", waits)),
    ]
    await failed.wait()
    for task in tasks:
        task.cancel()
    ended, _ = await asyncio.wait(tasks, timeout=60)
    assert all(task.cancelled() for task in ended)
    assert len(ended) == 2
