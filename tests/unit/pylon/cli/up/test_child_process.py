"""A process of `pylon up` that ends again and again is started again, less and less often."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from pylon.cli.up import child_process as module
from pylon.cli.up.child_process import ChildExitedError, ChildProcess
from tests.support.product.eventually import HANGS_AFTER_S, eventually


def child_of(script: str, *arguments: str) -> ChildProcess:
    return ChildProcess("devnet", ["/bin/sh", "-c", script, "sh", *arguments], dict(os.environ))


def pauses(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.message.removeprefix("devnet ended with code 3; restarting in ")
        for record in caplog.records
        if record.name == module.__name__
    ]


async def ready() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


async def test_the_pauses_before_restarts_grow_up_to_a_limit(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INITIAL_RESTART_DELAY_S", 0.001)
    monkeypatch.setattr(module, "MAX_RESTART_DELAY_S", 0.005)
    child = child_of("exit 3")
    with caplog.at_level(logging.WARNING):
        running = asyncio.create_task(child.keep_running(await ready()))
        await eventually(lambda: len(pauses(caplog)) >= 5)
        await child.stop(HANGS_AFTER_S)
        await running
    assert pauses(caplog)[:5] == ["0.001 s", "0.002 s", "0.004 s", "0.005 s", "0.005 s"]


async def test_after_a_steady_run_the_pauses_begin_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INITIAL_RESTART_DELAY_S", 0.001)
    monkeypatch.setattr(module, "RESTART_DELAY_RESET_S", 0.0)
    child = child_of("exit 3")
    with caplog.at_level(logging.WARNING):
        running = asyncio.create_task(child.keep_running(await ready()))
        await eventually(lambda: len(pauses(caplog)) >= 3)
        await child.stop(HANGS_AFTER_S)
        await running
    assert set(pauses(caplog)) == {"0.001 s"}


async def test_a_stop_does_not_wait_for_the_pause(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "INITIAL_RESTART_DELAY_S", 10 * HANGS_AFTER_S)
    starts = tmp_path / "starts"
    child = child_of('echo started >> "$1"; exit 3', str(starts))
    with caplog.at_level(logging.WARNING):
        running = asyncio.create_task(child.keep_running(await ready()))
        await eventually(lambda: len(pauses(caplog)) == 1)
        await child.stop(HANGS_AFTER_S)
        async with asyncio.timeout(HANGS_AFTER_S):
            await running
    assert starts.read_text() == "started\n"


async def test_an_end_before_the_tree_is_ready_is_an_error() -> None:
    with pytest.raises(ChildExitedError, match="devnet ended with code 3; see its log"):
        await child_of("exit 3").keep_running(asyncio.Event())
