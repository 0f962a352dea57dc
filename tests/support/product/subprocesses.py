"""Processes that run to their end."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.process_output import append_output


async def output_of(*argv: str, cwd: Path, env: Mapping[str, str]) -> str:
    """Return the output of a process, which must exit with code 0."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        out, err = await process.communicate()
    append_output(cwd, out + err)
    assert process.returncode == 0, err.decode()
    return out.decode()
