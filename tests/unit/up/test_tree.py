"""How the tree of `pylon up` ends."""

import asyncio

import pytest

from pylon.up import tree

CONTAINER_GRACE_S = 10.0
"""Default time between SIGTERM and SIGKILL of `docker stop`, in seconds."""


class Hanging:
    """A process that ends only when the time to stop it is over, on a clock of the test's."""

    def __init__(self, clock_s: list[float]) -> None:
        self._clock_s = clock_s
        self._ended = asyncio.Event()

    async def keep_running(self, _ready: asyncio.Event) -> None:
        await self._ended.wait()

    async def stop(self, within_s: float) -> None:
        self._clock_s[0] += within_s
        self._ended.set()


async def test_processes_that_hang_share_the_time_of_a_container_that_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock_s = [0.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock_s[0])
    children = [Hanging(clock_s) for _ in range(5)]
    async with tree._running(Hanging(clock_s), children, asyncio.Event()):
        pass
    assert clock_s[0] == tree.STOP_WITHIN_S < CONTAINER_GRACE_S
