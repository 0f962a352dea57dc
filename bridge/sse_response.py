"""Event streams as server-sent events: the newest event first, then new ones, once and in order.

The id of an event is its block number, so that `Last-Event-ID` resumes after it. If events between
two events are no longer available, an event `missed` precedes the second one. When the bridge
stops, an event `closing` asks clients to reconnect.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.types import Message, Receive, Scope, Send

from bridge.event_buffers import BUFFER_SIZE, EventBuffer
from bridge.head_method import is_head_request
from pylon_client.contract import json_codec
from pylon_client.contract.types import BlockNumber

logger = logging.getLogger(__name__)

HEARTBEAT_INTERVAL_S: Final = 15.0
SEND_TIMEOUT_S: Final = 60.0
"""Seconds without progress after which a listener is disconnected."""
RECONNECT_DELAY_MS: Final = (500, 3000)
"""Range of the random reconnection delay of a stopping bridge's listeners, in milliseconds."""


@dataclass(slots=True)
class StreamCounts:
    """Counters of event streams since the start of the process.

    Attributes:
        open_streams: number of streams that are open now.
        fell_behind: how often a slow listener missed events that had left the buffer.
        timed_out: number of listeners that were disconnected after `SEND_TIMEOUT_S`.
    """

    open_streams: int = 0
    fell_behind: int = 0
    timed_out: int = 0


async def stream_frames(
    buffer: EventBuffer, last_id: BlockNumber | None, counts: StreamCounts
) -> AsyncGenerator[bytes]:
    """Yield the frames for one listener until the buffer ends.

    Args:
        buffer: buffer of the subject's events.
        last_id: block number of the listener's last event; None starts with the newest event.
        counts: counters to update.
    """
    last_number = last_id
    resuming = True
    while True:
        frame = buffer.after(last_number)
        if frame is not None:
            if last_number is not None and frame.number > last_number + 1:
                if not resuming and buffer.is_oldest(frame):
                    counts.fell_behind += 1
                yield missed_frame(last_number, frame.number)
            last_number, resuming = frame.number, False
            yield frame.data
        elif resuming and _is_ahead(buffer, last_number):
            last_number = None
        elif buffer.ended:
            yield closing_frame()
            return
        elif not await buffer.wait_for_change(HEARTBEAT_INTERVAL_S):
            yield KEEPALIVE_COMMENT


class StreamResponse(StreamingResponse):
    """An event stream that disconnects listeners which stop reading.

    FastAPI's `EventSourceResponse` would encode each event again for every listener.
    """

    media_type = "text/event-stream"

    def __init__(
        self, content: AsyncGenerator[bytes], counts: StreamCounts, *, is_private: bool
    ) -> None:
        cache = "private, no-store" if is_private else "no-store"
        # Without `X-Accel-Buffering`, nginx buffers events.
        super().__init__(content, headers={"Cache-Control": cache, "X-Accel-Buffering": "no"})
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers, and unless the request is HEAD, the stream."""
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
        """Send all frames; disconnect the listener if a send takes longer than `SEND_TIMEOUT_S`."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await send(message)

        self._counts.open_streams += 1
        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            self._counts.timed_out += 1
            logger.warning(
                "Disconnected a stream's listener: it read nothing for %g s", SEND_TIMEOUT_S
            )
        finally:
            self._counts.open_streams -= 1


def _is_ahead(buffer: EventBuffer, last_number: BlockNumber | None) -> bool:
    """Return whether a block is so far ahead of the newest one that it is from another chain."""
    newest = buffer.newest
    return (
        last_number is not None and newest is not None and last_number > newest.number + BUFFER_SIZE
    )


def missed_frame(after_number: BlockNumber, before_number: BlockNumber) -> bytes:
    """Return the frame that reports unavailable events between two block numbers."""
    data = {
        "after_block_number": after_number,
        "before_block_number": before_number,
        "detail": "There are no values of the blocks in between, or they are no longer kept.",
    }
    return format_sse_event(event="missed", data_str=json_codec.encode(data).decode())


def closing_frame() -> bytes:
    """Return the frame that announces the end of the bridge, with a random reconnection delay."""
    data = {"detail": "The service is stopping: connect again, with Last-Event-ID."}
    return format_sse_event(
        event="closing",
        data_str=json_codec.encode(data).decode(),
        retry=random.randint(*RECONNECT_DELAY_MS),  # noqa: S311 -- jitter, not a secret
    )
