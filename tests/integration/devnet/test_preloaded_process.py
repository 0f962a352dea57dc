"""Processes of the tests share the imports of one server wherever they can."""

from pathlib import Path

import pytest

from tests.support.chain.devnet_process import DevnetProcess


async def is_executed() -> bool:
    """Return whether a new process runs an interpreter of its own."""
    async with DevnetProcess(None) as devnet:
        return "pylon_devnet" in command_of(devnet.pid)


def command_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


async def test_a_process_in_the_environment_of_the_tests_is_forked() -> None:
    assert not await is_executed()


async def test_a_process_with_another_interpreter_setting_executes_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert await is_executed()
