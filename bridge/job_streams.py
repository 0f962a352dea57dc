"""One job for one who listens: how it is now, then each change once, until it has ended.

Changes are heard of as they are announced. An announcement may get lost, so whenever nothing was
heard for a while, the job is asked for.
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
BUFFERED_UPDATES_MAX: Final = 64
"""How many changes wait for a listener; of more, which is more than a job has, the oldest go."""


class JobStream:
    """What one listener has been sent of a job, and what is still to be.

    Args:
        read_job: gives the job as it is now, as the body of the read.
    """

    def __init__(self, read_job: Callable[[], Awaitable[bytes]]) -> None:
        self._read_job = read_job
        self._updates: deque[bytes] = deque(maxlen=BUFFERED_UPDATES_MAX)
        self._wakeup = asyncio.Event()
        self._last: Job | None = None
        self._is_closing = False

    def push(self, body: bytes) -> None:
        """Take a change that was announced."""
        self._updates.append(body)
        self._wakeup.set()

    def close(self) -> None:
        """Let the stream end, since the bridge stops."""
        self._is_closing = True
        self._wakeup.set()

    async def load(self) -> None:
        """Find out how the job is now.

        Raises:
            FailureError: it cannot be had; NOT_FOUND where there is none.
        """
        # What was announced before the answer came is older than the answer, or the same.
        self._updates.appendleft(await self._read_job())
        self._wakeup.set()

    async def frames(self) -> AsyncGenerator[bytes]:
        """What is sent, until the job has ended or the bridge stops."""
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
            return None  # a newer version's, of which more will be heard
        last = self._last
        if last is None:
            return job
        # The end of a job is news whatever the clocks of the workers say.
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
            # Who comes again is told that there is no such job any more.
            if error.code is ErrorCode.NOT_FOUND:
                self.close()


class JobStreams:
    """Everybody who listens to a job in this process."""

    def __init__(self) -> None:
        self._streams: set[JobStream] = set()
        self._is_closing = False

    def close(self) -> None:
        """End the streams that are open, and those that are opened from now on."""
        self._is_closing = True
        for listener in self._streams:
            listener.close()

    @contextmanager
    def open(self, read_job: Callable[[], Awaitable[bytes]]) -> Generator[JobStream]:
        """One more within the block."""
        listener = JobStream(read_job)
        if self._is_closing:
            listener.close()
        self._streams.add(listener)
        try:
            yield listener
        finally:
            self._streams.discard(listener)
