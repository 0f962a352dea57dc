"""A process that serves until it is stopped."""

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
    """Run it within the block, with its output in the folder; print the output if the block fails.

    It runs in the folder unless `cwd` is another.
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
