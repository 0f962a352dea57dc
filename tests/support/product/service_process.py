"""A service as a child process."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.product.eventually import HANGS_AFTER_S


@asynccontextmanager
async def service_process(
    argv: Sequence[str], folder: Path, environment: Mapping[str, str], *, cwd: Path | None = None
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a process within the block, and print its output if the block fails.

    Args:
        argv: program and arguments.
        folder: for the file `output`; also the working directory, unless `cwd` is given.
        environment: all variables of the process.
        cwd: another working directory.
    """
    path = folder / "output"
    with path.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd or folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    except BaseException:
        sys.stderr.write(path.read_text())
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        async with asyncio.timeout(HANGS_AFTER_S):
            await process.wait()
