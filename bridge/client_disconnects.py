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
    is_active, has_left = True, False

    def cancel(ended: asyncio.Task[None]) -> None:
        nonlocal has_left
        # The watcher may have ended together with the block.
        if is_active and not ended.cancelled():
            has_left = True
            task.cancel()

    watcher.add_done_callback(cancel)
    try:
        yield
    except asyncio.CancelledError:
        if not has_left or task.uncancel() > cancellations:
            raise  # the request was cancelled for another reason
        raise FailureError(ErrorCode.CANCELLED, "The client has disconnected.") from None
    finally:
        is_active = False
        watcher.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
