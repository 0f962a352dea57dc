"""Cancellation of requests whose client closes the connection before the response."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from fastapi import Request

from pylon_client.contract.failures import ErrorCode, FailureError


@contextlib.asynccontextmanager
async def cancel_on_disconnect(request: Request) -> AsyncGenerator[None]:
    """Cancel the block when the client disconnects.

    Args:
        request: the request; its body must have been read.

    Raises:
        FailureError: CANCELLED if the client has disconnected; no client receives it.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("cancel_on_disconnect needs a task")
    cancellations = task.cancelling()
    watcher = asyncio.create_task(_wait_for_disconnect(request))

    def cancel(ended: asyncio.Task[None]) -> None:
        if not ended.cancelled():
            task.cancel()

    watcher.add_done_callback(cancel)
    try:
        yield
    except asyncio.CancelledError:
        has_left = watcher.done() and not watcher.cancelled()
        if not has_left or task.uncancel() > cancellations:
            raise  # the request was cancelled for another reason
        raise FailureError(ErrorCode.CANCELLED, "The client has disconnected.") from None
    finally:
        watcher.remove_done_callback(cancel)
        watcher.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
