"""`pylon worker` whose publisher blocks for ever after some blocks, as after an error.

    python -m tests.support.product.stalling_worker 3

It is the product except for one wrapped method.
"""

import asyncio
import sys
from typing import Any

from pylon.blocks.block_publisher import BlockPublisher


def stall_after(blocks: int) -> None:
    """Make the publisher of this process block after a number of blocks."""
    publish = BlockPublisher.publish
    published = 0

    async def stalling(*arguments: Any, **more: Any) -> bool:
        nonlocal published
        if published == blocks:
            await asyncio.Event().wait()
        published += 1
        return await publish(*arguments, **more)

    BlockPublisher.publish = stalling  # type: ignore[method-assign]


if __name__ == "__main__":
    from pylon.cli.main import main

    stall_after(int(sys.argv.pop()))
    sys.argv.append("worker")
    main()
