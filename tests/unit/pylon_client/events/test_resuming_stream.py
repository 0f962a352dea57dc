"""Idle streams with and without a running worker."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pylon_client.contract import json_codec, reads
from pylon_client.contract.models import BlockInfo
from pylon_client.contract.types import BlockNumber
from pylon_client.errors import PylonTimeoutException
from pylon_client.events import resuming_stream
from pylon_client.events.resuming_stream import ResumingStream
from pylon_client.samples import sample_block_info
from pylon_client.transport import StreamItem, StreamSpec
from tests.support.product.eventually import eventually
from tests.support.product.stepped_loop import run_stepped

QUIET_S = 0.01
ENDLESS_S = 600.0


@pytest.fixture(autouse=True)
def _short_idle_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming_stream, "MIN_IDLE_S", QUIET_S)
    monkeypatch.setattr(resuming_stream, "MAX_IDLE_S", QUIET_S)


class IdleStream:
    """A stream with events on demand, and a worker with a limited number of replies.

    Attributes:
        probes: the number of probes.
        is_probed: set when a probe without a reply is pending.
        cancelled: the number of cancelled probes.
    """

    def __init__(self, *, replies: int) -> None:
        self.values: asyncio.Queue[StreamItem] = asyncio.Queue()
        self.probes = 0
        self.is_probed = asyncio.Event()
        self.cancelled = 0
        self._replies = replies

    async def confirm(self) -> None:
        self.probes += 1
        if self.probes > self._replies:
            self.is_probed.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise

    @asynccontextmanager
    async def listen(
        self, _stream: object, _after: BlockNumber | None
    ) -> AsyncGenerator[AsyncIterator[StreamItem]]:
        async def values() -> AsyncGenerator[StreamItem]:
            while True:
                yield await self.values.get()

        yield values()

    def publish(self, number: int) -> None:
        body = json_codec.encode(sample_block_info(number))
        self.values.put_nowait(StreamItem(BlockNumber(number), body))

    def stream(self, give_up_after_s: float = ENDLESS_S) -> ResumingStream[BlockInfo]:
        stream = StreamSpec(reads.LATEST_BLOCK)
        return ResumingStream(self.listen, self.confirm, stream, None, give_up_after_s)


async def test_an_event_that_arrives_during_a_probe_is_returned() -> None:
    idle = IdleStream(replies=1)
    stream = idle.stream()
    await stream.connect()
    next_event = asyncio.create_task(stream.__anext__())
    await idle.is_probed.wait()
    idle.publish(7)
    assert (await next_event).number == 7
    assert idle.cancelled == 1
    await stream.close()


def test_an_idle_stream_waits_while_a_worker_replies() -> None:
    async def scenario() -> None:
        idle = IdleStream(replies=1000)
        stream = idle.stream(give_up_after_s=100 * QUIET_S)
        await stream.connect()
        next_event = asyncio.create_task(stream.__anext__())
        await eventually(lambda: idle.probes > 150)
        idle.publish(7)
        assert (await next_event).number == 7
        assert idle.cancelled == 0
        await stream.close()

    run_stepped(scenario())


async def test_without_events_and_replies_the_stream_times_out() -> None:
    idle = IdleStream(replies=1)
    stream = idle.stream(give_up_after_s=5 * QUIET_S)
    await stream.connect()
    with pytest.raises(PylonTimeoutException):
        await stream.__anext__()
    assert idle.cancelled == idle.probes - 1
    await stream.close()


async def test_closing_during_a_probe_cancels_the_probe() -> None:
    idle = IdleStream(replies=1)
    stream = idle.stream()
    await stream.connect()
    next_event = asyncio.create_task(stream.__anext__())
    await idle.is_probed.wait()
    next_event.cancel()
    await asyncio.gather(next_event, return_exceptions=True)
    assert idle.cancelled == 1
    await stream.close()
