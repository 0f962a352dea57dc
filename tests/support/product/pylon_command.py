"""The `pylon` command as an operator calls it, without the test's own environment."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.process_output import append_output


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def pylon_argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pylon", *arguments]


def command_environment(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process with these variables and a folder as its home."""
    inherited = {
        name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ
    }
    return {
        **inherited,
        "HOME": str(folder),
        "BITTENSOR_RUNTIME_CACHE_DIR": str(folder / "runtime-cache"),
        **variables,
    }


async def pylon_command(folder: Path, variables: Mapping[str, str], *arguments: str) -> Ended:
    """Run `pylon …` to its end."""
    process = await asyncio.create_subprocess_exec(
        *pylon_argv(*arguments),
        cwd=folder,
        env=command_environment(folder, variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    append_output(folder, out + err)
    return Ended(process.returncode, out.decode(), err.decode())
