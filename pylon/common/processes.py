"""Starting and ending of child processes."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping

_PR_SET_PDEATHSIG = 1
_BASE_VARIABLES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "TERM", "LANG", "LANGUAGE"),
        *("VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "NO_COLOR", "FORCE_COLOR"),
    }
)
_BASE_PREFIXES = ("LC_", "PYTHON")


def base_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that any process on this machine needs; they contain no secrets."""
    return {
        name: text
        for name, text in variables.items()
        if name in _BASE_VARIABLES or name.startswith(_BASE_PREFIXES)
    }


def die_with_parent() -> None:
    """Make Linux send SIGTERM to this process when its parent ends; to be called before exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def terminate_process(process: Process, timeout_s: float) -> bool:
    """Send SIGTERM to the leader of a process group; kill the group after `timeout_s` seconds.

    Returns:
        Whether the process ended before the timeout.
    """
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(timeout_s):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        return False
    return True
