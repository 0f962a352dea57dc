"""Limit on the resident memory of this process.

The memory of the chain SDK grows over days. A worker that exceeds its limit shuts down, and its
process manager restarts it; meanwhile other workers serve, and jobs wait in the queue.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

MEMORY_CHECK_INTERVAL_S: Final = 5.0
MIB: Final = 2**20

_STATM: Final = Path("/proc/self/statm")


def resident_bytes() -> int | None:
    """Return the resident memory of this process; None if the system does not provide it."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


async def wait_until_exceeded(
    limit_bytes: int, *, interval_s: float = MEMORY_CHECK_INTERVAL_S
) -> int:
    """Wait until the resident memory exceeds a limit in bytes, and return it."""
    while True:
        await asyncio.sleep(interval_s)
        resident = resident_bytes()
        if resident is not None and resident > limit_bytes:
            return resident


async def wait_for_memory_limit(limit_mib: int | None) -> None:
    """Wait until the resident memory exceeds a limit in MiB, and log it; None waits forever."""
    if limit_mib is None:
        await asyncio.Event().wait()
        return
    resident = await wait_until_exceeded(limit_mib * MIB)
    logger.warning(
        "Stopping for a restart: %d MiB of resident memory exceed the limit of %d MiB "
        "(PYLON_WORKER_MEMORY_LIMIT_MIB)",
        resident // MIB,
        limit_mib,
    )
