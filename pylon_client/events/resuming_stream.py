"""Streams of events that resume after a lost connection: each event once and in order."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final, Generic, Self

from pydantic import BaseModel

from pylon_client.contract.types import BlockNumber
from pylon_client.errors import (
    BasePylonException,
    PylonClosed,
    PylonTimeoutException,
    TimeoutReason,
)
from pylon_client.exponential_backoff import Backoff
from pylon_client.transport import ReplyT, StreamItem, StreamSpec

logger = logging.getLogger(__name__)

RETRY_INITIAL_DELAY_S: Final = 0.1
RETRY_MAX_DELAY_S: Final = 5.0
MIN_IDLE_S: Final = 1.0
MAX_IDLE_S: Final = 20.0
"""Maximum seconds without an event before a worker is probed; longer than a block takes."""

Confirm = Callable[[], Awaitable[None]]

Listen = Callable[
    [StreamSpec[BaseModel], BlockNumber | None],
    AbstractAsyncContextManager[AsyncIterator[StreamItem]],
]


class ResumingStream(Generic[ReplyT]):
    """An asynchronous iterator over a stream: `connect`, iterate, then `close`.

    A stream may be idle because the chain is, or because no worker publishes any more. While no
    event arrives, workers are probed, and a reply counts as activity as well.

    Args:
        listen: connects to the stream, after a block or at its newest event.
        confirm: returns when a worker replies.
        stream: the stream to read.
        after: the block after which to start; None starts with the newest event.
        give_up_after_s: seconds without an event or a reply after which the stream raises.
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
        self._idle_s = min(max(give_up_after_s / 2, MIN_IDLE_S), MAX_IDLE_S)
        self._stack = AsyncExitStack()
        self._items: AsyncIterator[StreamItem] | None = None
        self._next_task: asyncio.Future[StreamItem] | None = None
        self._last_activity_s = time.monotonic()

    async def connect(self) -> None:
        """Connect once, and resume after the last returned event.

        Raises:
            BasePylonException: the attempt failed.
        """
        await self.close()
        await self._confirm()
        listening = self._listen(self._stream, self._after)
        self._items = await self._stack.enter_async_context(listening)
        self._last_activity_s = time.monotonic()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ReplyT:
        """Return the next event; reconnect if the connection is lost.

        Raises:
            BasePylonException: the error cannot be retried, or `give_up_after_s` is over.
        """
        while True:
            if self._items is None:
                raise PylonClosed("the stream is closed")
            try:
                item = await self._next(self._items)
            except BasePylonException as error:
                await self._reconnect(error)
            else:
                if item.is_after_gap:
                    logger.warning(
                        "Missed events between block %s and block %d; they are no longer stored",
                        self._after,
                        item.number,
                    )
                self._after = item.number
                return self._stream.decode_event(item.body)

    async def close(self) -> None:
        """Disconnect from the stream; a second call does nothing."""
        self._items = None
        next_task, self._next_task = self._next_task, None
        if next_task is not None:
            next_task.cancel()
            await asyncio.gather(next_task, return_exceptions=True)
        await self._stack.aclose()

    async def _next(self, items: AsyncIterator[StreamItem]) -> StreamItem:
        # Cancelling `anext` would end the iterator. So the task continues while a worker is probed,
        # and `close` cancels it if the probe fails.
        next_task = self._next_task = asyncio.ensure_future(anext(items))
        while not (await asyncio.wait([next_task], timeout=self._idle_s))[0]:
            await self._confirm_or_receive(next_task)
        self._next_task = None
        item = next_task.result()
        self._last_activity_s = time.monotonic()
        return item

    async def _confirm_or_receive(self, next_task: asyncio.Future[StreamItem]) -> None:
        """Return when a worker replies or the next event arrives."""
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
            raise PylonTimeoutException(TimeoutReason.READ, detail="no worker replies") from None

    async def _reconnect(self, error: BasePylonException) -> None:
        deadline_s = self._last_activity_s + self._give_up_after_s
        backoff = Backoff(RETRY_INITIAL_DELAY_S, RETRY_MAX_DELAY_S)
        while (
            error.retryable and time.monotonic() + (delay_s := backoff.next_delay_s()) < deadline_s
        ):
            logger.info("Stream interrupted; reconnecting in %.1f s: %s", delay_s, error)
            await asyncio.sleep(delay_s)
            try:
                await self.connect()
            except BasePylonException as another:
                error = another
            else:
                return
        raise error
