"""How much memory this process has, and word when it is too much.

The chain SDK is known to grow over days. A worker that passes its limit stops in good order, and
whoever keeps it running starts a fresh one; its peers and the queues bridge the gap.
"""

import asyncio
import os
from pathlib import Path
from typing import Final

CHECK_EVERY_S: Final = 5.0

_STATM: Final = Path("/proc/self/statm")


def resident_bytes() -> int | None:
    """The resident memory of this process; None where the system does not tell."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


async def exceeded(limit_bytes: int, *, every_s: float = CHECK_EVERY_S) -> int:
    """Wait until this process has more memory than that; how much it has then."""
    while True:
        await asyncio.sleep(every_s)
        held = resident_bytes()
        if held is not None and held > limit_bytes:
            return held
