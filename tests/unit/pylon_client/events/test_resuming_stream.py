"""A stream that is quiet, while nobody or somebody tells that a worker is there."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pylon_client.contract import reads, wire
from pylon_client.contract.models import BlockInfo
from pylon_client.contract.types import BlockNumber
from pylon_client.errors import PylonTimeoutException
from pylon_client.events import resuming_stream
from pylon_client.events.resuming_stream import ResumingStream
from pylon_client.samples import sample_block_info
from pylon_client.transport import StreamItem, StreamSpec
from tests.support.product.eventually import eventually

QUIET_S = 0.01
ENDLESS_S = 600.0


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming_stream, "IDLE_MIN_S", QUIET_S)
    monkeypatch.setattr(resuming_stream, "IDLE_MAX_S", QUIET_S)


class Quiet:
    """A stream whose one value comes when it is told to, and a worker that answers so often.

    Attributes:
        asked: how often it was asked for.
        is_waited_for: set while an answer of it is waited for that does not come.
        given_up: how often who asked for it did not wait for its answer.
    """

    def __init__(self, *, answers: int) -> None:
        self.values: asyncio.Queue[StreamItem] = asyncio.Queue()
        self.asked = 0
        self.is_waited_for = asyncio.Event()
        self.given_up = 0
        self._answers = answers

    async def confirm(self) -> None:
        self.asked += 1
        if self.asked > self._answers:
            self.is_waited_for.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.given_up += 1
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
        body = wire.encode(sample_block_info(number))
        self.values.put_nowait(StreamItem(BlockNumber(number), body))

    def following(self, patience_s: float = ENDLESS_S) -> ResumingStream[BlockInfo]:
        stream = StreamSpec(reads.LATEST_BLOCK)
        return ResumingStream(self.listen, self.confirm, stream, None, patience_s)


async def test_a_value_is_given_out_while_a_worker_is_still_asked_for() -> None:
    quiet = Quiet(answers=1)
    stream = quiet.following()
    await stream.connect()
    taking = asyncio.create_task(stream.__anext__())
    await quiet.is_waited_for.wait()
    quiet.publish(7)
    assert (await taking).number == 7
    assert quiet.given_up == 1
    await stream.close()


async def test_a_quiet_stream_is_waited_for_while_a_worker_answers() -> None:
    quiet = Quiet(answers=1000)
    stream = quiet.following(patience_s=100 * QUIET_S)
    await stream.connect()
    taking = asyncio.create_task(stream.__anext__())
    await eventually(lambda: quiet.asked > 150)
    quiet.publish(7)
    assert (await taking).number == 7
    assert quiet.given_up == 0
    await stream.close()


async def test_where_neither_a_value_nor_a_worker_comes_patience_ends() -> None:
    quiet = Quiet(answers=1)
    stream = quiet.following(patience_s=5 * QUIET_S)
    await stream.connect()
    with pytest.raises(PylonTimeoutException):
        await stream.__anext__()
    assert quiet.given_up == quiet.asked - 1
    await stream.close()


async def test_nothing_is_left_of_a_stream_that_is_left_while_a_worker_is_asked_for() -> None:
    quiet = Quiet(answers=1)
    stream = quiet.following()
    await stream.connect()
    taking = asyncio.create_task(stream.__anext__())
    await quiet.is_waited_for.wait()
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert quiet.given_up == 1
    await stream.close()
