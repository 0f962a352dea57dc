"""`pylon worker` whose publisher blocks for ever once a file exists, as after an error.

    python -m tests.support.product.stalling_worker FILE

It is the product except for one wrapped method.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from pylon.blocks.block_publisher import BlockPublisher


def stall_once_exists(file: Path) -> None:
    """Make the publisher of this process block before its next block once a file exists."""
    publish = BlockPublisher.publish

    async def stalling(*arguments: Any, **more: Any) -> bool:
        if file.exists():  # noqa: ASYNC240 -- a local file
            await asyncio.Event().wait()
        return await publish(*arguments, **more)

    BlockPublisher.publish = stalling  # type: ignore[method-assign]


if __name__ == "__main__":
    from pylon.cli.main import main

    stall_once_exists(Path(sys.argv.pop()))
    sys.argv.append("worker")
    main()
