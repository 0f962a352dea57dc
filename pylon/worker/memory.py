"""How much memory this process has, and word when it is too much.

The chain SDK is known to grow over days. A worker that passes its limit stops in good order, and
whoever keeps it running starts a fresh one; its peers and the queues bridge the gap.
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
    """The resident memory of this process; None where the system does not tell."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


async def wait_until_exceeded(
    limit_bytes: int, *, interval_s: float = MEMORY_CHECK_INTERVAL_S
) -> int:
    """Wait until this process has more memory than that; how much it has then."""
    while True:
        await asyncio.sleep(interval_s)
        held = resident_bytes()
        if held is not None and held > limit_bytes:
            return held


async def wait_for_memory_limit(limit_mib: int | None) -> None:
    """Return, and log why, once this process has more memory than the limit; None is no limit."""
    if limit_mib is None:
        await asyncio.Event().wait()
        return
    held_bytes = await wait_until_exceeded(limit_mib * MIB)
    logger.warning(
        "This worker holds %d MiB of memory, more than the %d of "
        "PYLON_WORKER_MEMORY_LIMIT_MIB: it stops, to be started afresh",
        held_bytes // MIB,
        limit_mib,
    )
