"""Reads of stored events, from a stream in memory."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from pylon.events import event_streams
from pylon.events.event_log import EventLog
from pylon.jetstream.stream_client import StreamMessage
from pylon_client.contract import headers
from pylon_client.contract.types import BlockNumber
from pylon_client.events.stored_events import FeedEvent
from tests.support.chain.fake_chain import hash_of
from tests.support.nats.fake_connection import FakeConnection, as_connection

BLOCKS = "pylon.v1.event.block"
NEURONS = "pylon.v1.event.neurons.1"
STORED_AT = datetime(2026, 1, 1, tzinfo=UTC)


class FakeStream:
    """Messages of the event stream, by sequence.

    Attributes:
        reads: number of reads.
        direct: for each read, whether any replica could answer.
    """

    def __init__(self) -> None:
        self.messages: dict[int, StreamMessage] = {}
        self.direct: list[bool] = []

    def add(self, number: int | None, subject: str = BLOCKS, **more: str) -> int:
        """Store an event; a number of None stores a message that is not an event."""
        sequence = max(self.messages, default=0) + 1
        sent: dict[str, str] = {}
        if number is not None:
            sent = {headers.BLOCK_NUMBER: str(number), headers.BLOCK_HASH: hash_of(number), **more}
        body = b"" if more else f"body of {number}".encode()
        self.messages[sequence] = StreamMessage(sequence, subject, sent, body, STORED_AT)
        return sequence

    async def get(
        self,
        subject: str | None,
        sequence: int | None,
        *,
        direct: bool = True,
        next_: bool = False,
    ) -> StreamMessage | None:
        self.direct.append(direct)
        await asyncio.sleep(0)
        if subject is None:
            return self.messages.get(sequence or 0)
        found = [one for one in self.messages.values() if one.subject == subject]
        if next_:
            return next((one for one in found if one.sequence >= (sequence or 0)), None)
        return found[-1] if found else None


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> FakeStream:
    stream = FakeStream()
    monkeypatch.setattr(event_streams, "StreamClient", lambda *_: stream)
    return stream


@pytest.fixture
def stored(stream: FakeStream) -> EventLog:
    return EventLog(as_connection(FakeConnection()))


async def read(stored: EventLog, after: int | None = None, subject: str = BLOCKS) -> Any:
    """Return the number of the event and the lost blocks, or None."""
    event = await stored(subject, None if after is None else BlockNumber(after))
    return event if event is None else (event.block.number, event.lost)


async def test_an_empty_stream_has_no_event(stored: EventLog) -> None:
    assert await read(stored) is None
    assert await read(stored, after=5) is None
    assert await stored.newest(BLOCKS) is None


async def test_the_newest_event_is_found_among_other_subjects(
    stream: FakeStream, stored: EventLog
) -> None:
    for number in (1, 2):
        stream.add(number)
        stream.add(number, NEURONS)
    stream.add(3, NEURONS)
    assert await read(stored) == (2, range(0))
    assert await read(stored, subject=NEURONS) == (3, range(0))


async def test_the_first_event_after_any_block_is_found(
    stream: FakeStream, stored: EventLog
) -> None:
    numbers = [5, 6, 9, 10, 11, 20, 21]
    for number in numbers:
        stream.add(number)
        stream.add(number, NEURONS)
    for after in range(5, 23):
        expected = next((number for number in numbers if number > after), None)
        found = await read(stored, after)
        assert found == (None if expected is None else (expected, range(0))), after


async def test_events_that_are_no_longer_stored_are_lost(
    stream: FakeStream, stored: EventLog
) -> None:
    for number in (7, 8, 9):
        stream.add(number)
    assert await read(stored, after=2) == (7, range(3, 7))
    assert await read(stored, after=6) == (7, range(7, 7))


async def test_a_search_reads_few_messages(stream: FakeStream, stored: EventLog) -> None:
    for number in range(1, 33):
        stream.add(number)
    for after in range(1, 32):
        stream.direct.clear()
        assert await read(stored, after) == (after + 1, range(0))
        assert len(stream.direct) <= 7


async def test_messages_that_are_no_events_are_skipped(
    stream: FakeStream, stored: EventLog
) -> None:
    for number in (4, None, 6, None, 8, None):
        stream.add(number)
    assert await read(stored) == (8, range(0))
    assert await read(stored, after=3) == (4, range(4, 4))
    assert await read(stored, after=2) == (4, range(3, 4))
    assert await read(stored, after=4) == (6, range(0))
    assert await read(stored, after=6) == (8, range(0))
    assert await read(stored, after=8) is None


async def test_the_newest_message_is_read_from_the_leader(
    stream: FakeStream, stored: EventLog
) -> None:
    sequence = stream.add(4)
    newest = await stored.newest(BLOCKS)
    assert newest is not None
    assert (newest.sequence, newest.block_number, newest.stored_at) == (sequence, 4, STORED_AT)
    last = stream.add(None)
    newest = await stored.newest(BLOCKS)
    assert newest is not None
    assert (newest.sequence, newest.block_number) == (last, 4)
    assert not any(stream.direct)


async def test_a_stream_without_any_event_has_a_newest_message_only(
    stream: FakeStream, stored: EventLog
) -> None:
    stream.add(None)
    newest = await stored.newest(BLOCKS)
    assert newest is not None
    assert (newest.event, newest.block_number) == (None, -1)
    assert await read(stored) is None


async def test_a_body_in_parts_is_joined(stream: FakeStream, stored: EventLog) -> None:
    parts = [stream.add(number, f"{NEURONS}.part.1") for number in (1, 2)]
    stream.add(5, NEURONS, **{headers.STORED_PARTS: " ".join(map(str, parts))})
    event = await stored(NEURONS)
    assert isinstance(event, FeedEvent)
    assert (event.body, event.stored_parts) == (b"body of 1body of 2", ())
    del stream.messages[parts[0]]
    assert await stored(NEURONS) is None, "a part is gone"
