"""Following a stream: each value once, in order, over as many connections as it takes."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final, Generic

from pydantic import BaseModel

from pylon_client.contract.types import BlockNumber
from pylon_client.errors import (
    BasePylonException,
    PylonClosed,
    PylonTimeoutException,
    TimeoutReason,
)
from pylon_client.transport import ReplyT, StreamItem, StreamSpec

logger = logging.getLogger(__name__)

RETRY_INITIAL_DELAY_S: Final = 0.1
RETRY_MAX_DELAY_S: Final = 5.0
IDLE_MIN_S: Final = 1.0
IDLE_MAX_S: Final = 20.0
"""After so long without a value a worker is asked for; the real chain's blocks come sooner."""

Confirm = Callable[[], Awaitable[None]]

Listen = Callable[
    [StreamSpec[BaseModel], BlockNumber | None],
    AbstractAsyncContextManager[AsyncIterator[StreamItem]],
]


class ResumingStream(Generic[ReplyT]):
    """One reader's way along a stream: `connect`, then `__anext__` again and again, at last `close`.

    A stream may be quiet because nothing happens, or because nobody is left who would publish. So
    while no value comes a worker is asked for, and its answer is as good a sign as a value.

    Args:
        listen: connects to the stream, after a block or at its newest value.
        confirm: returns when a worker answers.
        stream: what to follow.
        after: the block after which to begin; None begins with the newest value.
        give_up_after_s: for how long to go on without any sign of Pylon.
    """

    def __init__(
        self,
        listen: Listen,
        confirm: Confirm,
        stream: StreamSpec[ReplyT],
        after: BlockNumber | None,
        give_up_after_s: float,
    ) -> None:
        self._listen = listen
        self._confirm = confirm
        self._stream = stream
        self._after = after
        self._give_up_after_s = give_up_after_s
        self._idle_s = min(max(give_up_after_s / 2, IDLE_MIN_S), IDLE_MAX_S)
        self._stack = AsyncExitStack()
        self._items: AsyncIterator[StreamItem] | None = None
        self._next_task: asyncio.Future[StreamItem] | None = None
        self._last_activity_s = time.monotonic()

    async def connect(self) -> None:
        """Connect once, to go on after the last value that was taken.

        Raises:
            BasePylonException: that cannot be done now.
        """
        await self.close()
        await self._confirm()
        listening = self._listen(self._stream, self._after)
        self._items = await self._stack.enter_async_context(listening)
        self._last_activity_s = time.monotonic()

    async def __anext__(self) -> ReplyT:
        """The next value, when it comes; connects again where that is needed.

        Raises:
            BasePylonException: the stream cannot be followed, or not within the patience.
        """
        while True:
            if self._items is None:
                raise PylonClosed("the stream is closed")
            try:
                published = await self._next(self._items)
            except BasePylonException as error:
                await self._reconnect(error)
            else:
                if published.is_after_gap:
                    logger.warning(
                        "Blocks between %s and %d were missed and are not kept any more",
                        self._after,
                        published.number,
                    )
                self._after = published.number
                return self._stream.decode_event(published.body)

    async def close(self) -> None:
        """Leave the stream; it may be left already."""
        self._items = None
        coming, self._next_task = self._next_task, None
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        await self._stack.aclose()

    async def _next(self, values: AsyncIterator[StreamItem]) -> StreamItem:
        # A wait that was given up would end the values: it goes on while a worker is asked for, and
        # is left to `close` where that fails.
        coming = self._next_task = asyncio.ensure_future(anext(values))
        while not (await asyncio.wait([coming], timeout=self._idle_s))[0]:
            await self._confirm_or_receive(coming)
        self._next_task = None
        published = coming.result()
        self._last_activity_s = time.monotonic()
        return published

    async def _confirm_or_receive(self, next_task: asyncio.Future[StreamItem]) -> None:
        """Hear from a worker, or of a value, which is as good."""
        confirming = asyncio.ensure_future(self._confirm_before_deadline())
        try:
            await asyncio.wait([next_task, confirming], return_when=asyncio.FIRST_COMPLETED)
            if not next_task.done():
                confirming.result()
                self._last_activity_s = time.monotonic()
        finally:
            confirming.cancel()
            await asyncio.gather(confirming, return_exceptions=True)

    async def _confirm_before_deadline(self) -> None:
        left_s = self._last_activity_s + self._give_up_after_s - time.monotonic()
        try:
            async with asyncio.timeout(max(left_s, RETRY_INITIAL_DELAY_S)):
                await self._confirm()
        except TimeoutError:
            raise PylonTimeoutException(TimeoutReason.READ, detail="no worker answers") from None

    async def _reconnect(self, error: BasePylonException) -> None:
        give_up_at = self._last_activity_s + self._give_up_after_s
        wait_s = RETRY_INITIAL_DELAY_S
        while error.retryable and time.monotonic() + wait_s < give_up_at:
            logger.info("The stream is interrupted, and followed again in a moment: %s", error)
            await asyncio.sleep(random.uniform(wait_s / 2, wait_s))  # noqa: S311 -- jitter, no secret
            wait_s = min(wait_s * 2, RETRY_MAX_DELAY_S)
            try:
                await self.connect()
            except BasePylonException as another:
                error = another
            else:
                return
        raise error
