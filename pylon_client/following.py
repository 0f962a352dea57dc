"""Following a stream: each value once, in order, over as many connections as it takes."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final, Generic

from pydantic import BaseModel

from pylon_client.contract.types import BlockNumber
from pylon_client.errors import BasePylonException, PylonClosed
from pylon_client.transport.base import Published, ReplyT, Stream

logger = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0

Listen = Callable[
    [Stream[BaseModel], BlockNumber | None],
    AbstractAsyncContextManager[AsyncIterator[Published]],
]


class Following(Generic[ReplyT]):
    """One reader's way along a stream: `connect`, then `take` again and again, at last `close`.

    Args:
        listen: connects to the stream, after a block or at its newest value.
        stream: what to follow.
        after: the block after which to begin; None begins with the newest value.
        patience_s: for how long to go on trying to come back after a break.
    """

    def __init__(
        self,
        listen: Listen,
        stream: Stream[ReplyT],
        after: BlockNumber | None,
        patience_s: float,
    ) -> None:
        self._listen = listen
        self._stream = stream
        self._after = after
        self._patience_s = patience_s
        self._listening = AsyncExitStack()
        self._values: AsyncIterator[Published] | None = None

    async def connect(self) -> None:
        """Connect once, to go on after the last value that was taken.

        Raises:
            BasePylonException: that cannot be done now.
        """
        await self.close()
        listening = self._listen(self._stream, self._after)
        self._values = await self._listening.enter_async_context(listening)

    async def take(self) -> ReplyT:
        """The next value, when it comes; connects again where that is needed.

        Raises:
            BasePylonException: the stream cannot be followed, or not within the patience.
        """
        while True:
            if self._values is None:
                raise PylonClosed("the stream is closed")
            try:
                published = await anext(self._values)
            except BasePylonException as error:
                await self._come_back(error)
            else:
                if published.is_after_gap:
                    logger.warning(
                        "Blocks between %s and %d were missed and are not kept any more",
                        self._after,
                        published.number,
                    )
                self._after = published.number
                return self._stream.read(published.body)

    async def close(self) -> None:
        """Leave the stream; it may be left already."""
        self._values = None
        await self._listening.aclose()

    async def _come_back(self, error: BasePylonException) -> None:
        give_up_at = time.monotonic() + self._patience_s
        wait_s = FIRST_WAIT_S
        while error.retryable and time.monotonic() + wait_s < give_up_at:
            logger.info("The stream is interrupted, and followed again in a moment: %s", error)
            await asyncio.sleep(random.uniform(wait_s / 2, wait_s))  # noqa: S311 -- jitter, no secret
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
            try:
                await self.connect()
            except BasePylonException as another:
                error = another
            else:
                return
        raise error
