"""Values as server-sent events: the last one first, then each as it comes, once and in order.

The id of an event is its block's number, so that `Last-Event-ID` resumes after it. Where values
between two events cannot be had any more, an event `missed` between them says so. Before the
bridge stops, an event `closing` says that there will be more elsewhere.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Final

from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.types import Message, Receive, Scope, Send

from bridge.event_buffers import BUFFER_SIZE, EventBuffer
from bridge.head_method import is_head_request
from pylon_client.contract import wire
from pylon_client.contract.types import BlockNumber
from pylon_client.events.feed import FeedEvent

logger = logging.getLogger(__name__)

HEARTBEAT_INTERVAL_S: Final = 15.0
SEND_TIMEOUT_S: Final = 60.0
"""A listener that takes nothing for so long is gone, or as good as gone."""
RECONNECT_DELAY_MS: Final = (500, 3000)
"""Between which bounds listeners of a bridge that stops come back, each at another moment."""


@dataclass(slots=True)
class StreamCounts:
    """What has happened to listeners since the process began.

    Attributes:
        open_streams: how many there are now.
        fell_behind: how often one was so slow that values were gone before it took them.
        timed_out: how many were left, since they took nothing for `SEND_TIMEOUT_S`.
    """

    open_streams: int = 0
    fell_behind: int = 0
    timed_out: int = 0


def frame_encoder(event_name: str) -> Callable[[FeedEvent], bytes]:
    """How the values of a stream go out: named `event_name`, the body as REST answers it."""

    def frame(event: FeedEvent) -> bytes:
        return format_sse_event(
            event=event_name, id=str(event.block.number), data_str=event.body.decode()
        )

    return frame


async def stream_frames(
    buffer: EventBuffer, last_id: BlockNumber | None, counts: StreamCounts
) -> AsyncGenerator[bytes]:
    """What one listener is sent, until the channel ends.

    Args:
        buffer: whose values.
        last_id: the block of the last value that the listener has; None gives the newest first.
        counts: where to note when it is too slow.
    """
    seen = last_id
    resuming = True
    while True:
        value = buffer.after(seen)
        if value is not None:
            if seen is not None and value.number > seen + 1:
                if not resuming and buffer.is_oldest(value):
                    counts.fell_behind += 1
                yield missed_frame(seen, value.number)
            seen, resuming = value.number, False
            yield value.data
        elif resuming and _is_ahead(buffer, seen):
            seen = None
        elif buffer.ended:
            yield closing_frame()
            return
        elif not await buffer.wait_for_change(HEARTBEAT_INTERVAL_S):
            yield KEEPALIVE_COMMENT


class StreamResponse(StreamingResponse):
    """A stream of events that does not wait for ever for a listener to take them.

    The framework's own would make the bytes of each event anew for each listener.
    """

    media_type = "text/event-stream"

    def __init__(
        self, content: AsyncGenerator[bytes], counts: StreamCounts, *, is_private: bool
    ) -> None:
        cache = "private, no-store" if is_private else "no-store"
        # Proxies of one widespread kind would hold events back until there are many.
        super().__init__(content, headers={"Cache-Control": cache, "X-Accel-Buffering": "no"})
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers alone to a caller that sent HEAD, else the stream as well."""
        if not is_head_request(scope):
            await super().__call__(scope, receive, send)
            return
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def stream_response(self, send: Send) -> None:
        """Send all there is; a listener that takes nothing any more is left."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await send(message)

        self._counts.open_streams += 1
        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            self._counts.timed_out += 1
            logger.warning("A stream's listener took nothing for %g s: left", SEND_TIMEOUT_S)
        finally:
            self._counts.open_streams -= 1


def _is_ahead(buffer: EventBuffer, seen: BlockNumber | None) -> bool:
    """Whether a block is so far ahead of the newest one that it can only be another chain's."""
    newest = buffer.newest
    return seen is not None and newest is not None and seen > newest.number + BUFFER_SIZE


def missed_frame(after_number: BlockNumber, before_number: BlockNumber) -> bytes:
    data = {
        "after_block_number": after_number,
        "before_block_number": before_number,
        "detail": "There are no values of the blocks in between, or they are no longer kept.",
    }
    return format_sse_event(event="missed", data_str=wire.encode(data).decode())


def closing_frame() -> bytes:
    """What tells a listener that the bridge stops, and when to come back."""
    data = {"detail": "The service is stopping: connect again, with Last-Event-ID."}
    return format_sse_event(
        event="closing",
        data_str=wire.encode(data).decode(),
        retry=random.randint(*RECONNECT_DELAY_MS),  # noqa: S311 -- jitter, no secret
    )
