"""Environment and end of child processes."""

import asyncio
import sys

from pylon.common.processes import base_environment, terminate_process


def test_the_base_environment_contains_no_settings() -> None:
    given = {"PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": "x", "PYLON_TOKEN": "x", "AWS_KEY": "x"}
    assert base_environment(given) == {"PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": "x"}


async def start(code: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    await process.stdout.readline()
    return process


async def test_a_process_that_ends_at_sigterm_is_not_killed() -> None:
    process = await start("import time; print(flush=True); time.sleep(60)")
    assert await terminate_process(process, 30.0)
    assert process.returncode == -15


async def test_a_process_that_ignores_sigterm_is_killed_after_the_timeout() -> None:
    process = await start(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print(flush=True); time.sleep(60)"
    )
    assert not await terminate_process(process, 0.05)
    assert process.returncode == -9
