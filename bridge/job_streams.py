"""SSE streams of single jobs: the current state, then each update once, until the job has ended.

Updates arrive as job events over NATS, which may get lost. Therefore the job is also read after
each heartbeat interval without an update.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Final

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import ValidationError

from bridge.sse_response import HEARTBEAT_INTERVAL_S, closing_frame
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job

JOB_EVENT: Final = "job"
MAX_BUFFERED_UPDATES: Final = 64
"""Maximum number of updates buffered for a listener; it exceeds the updates that a job has."""


class JobStream:
    """The stream of one job to one listener.

    Args:
        read_job: reads the job and returns the reply's body.
    """

    def __init__(self, read_job: Callable[[], Awaitable[bytes]]) -> None:
        self._read_job = read_job
        self._updates: deque[bytes] = deque(maxlen=MAX_BUFFERED_UPDATES)
        self._wakeup = asyncio.Event()
        self._last: Job | None = None
        self._is_closing = False

    def push(self, body: bytes) -> None:
        """Buffer an update, the body of a job event."""
        self._updates.append(body)
        self._wakeup.set()

    def close(self) -> None:
        """End the stream, since the bridge stops."""
        self._is_closing = True
        self._wakeup.set()

    async def load(self) -> None:
        """Read the current state of the job.

        Raises:
            FailureError: the read failed; NOT_FOUND if the job does not exist.
        """
        # Updates that arrived before the reply are not newer than the reply.
        self._updates.appendleft(await self._read_job())
        self._wakeup.set()

    async def frames(self) -> AsyncGenerator[bytes]:
        """Yield SSE frames until the job has ended or the bridge stops."""
        while True:
            while self._updates:
                body = self._updates.popleft()
                job = self._parse_if_newer(body)
                if job is not None:
                    self._last = job
                    yield format_sse_event(event=JOB_EVENT, data_str=body.decode())
                    if job.has_ended:
                        return
            if self._is_closing:
                yield closing_frame()
                return
            if not await self._wait_for_update():
                yield KEEPALIVE_COMMENT
                await self._refresh()

    def _parse_if_newer(self, body: bytes) -> Job | None:
        try:
            job = Job.model_validate_json(body)
        except ValidationError:
            return None  # written by a newer version; later updates may be readable
        last = self._last
        if last is None:
            return job
        # The end of a job counts as newer even if the clocks of workers differ.
        is_later = job.has_ended or job.updated_at_ms >= last.updated_at_ms
        return job if is_later and job != last else None

    async def _wait_for_update(self) -> bool:
        try:
            async with asyncio.timeout(HEARTBEAT_INTERVAL_S):
                await self._wakeup.wait()
        except TimeoutError:
            return False
        self._wakeup.clear()
        return True

    async def _refresh(self) -> None:
        try:
            self.push(await self._read_job())
        except FailureError as error:
            # A client that reconnects receives NOT_FOUND.
            if error.code is ErrorCode.NOT_FOUND:
                self.close()


class JobStreams:
    """The open job streams of this process."""

    def __init__(self) -> None:
        self._streams: set[JobStream] = set()
        self._is_closing = False

    def close(self) -> None:
        """End all streams, also streams that are opened later."""
        self._is_closing = True
        for listener in self._streams:
            listener.close()

    @contextmanager
    def open(self, read_job: Callable[[], Awaitable[bytes]]) -> Generator[JobStream]:
        """Open a stream within the block."""
        listener = JobStream(read_job)
        if self._is_closing:
            listener.close()
        self._streams.add(listener)
        try:
            yield listener
        finally:
            self._streams.discard(listener)
