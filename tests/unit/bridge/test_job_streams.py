"""Frames of a job's stream, without HTTP."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

import bridge.job_streams
from bridge.job_streams import JobStream, JobStreams
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import JobState
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.sample_jobs import sample_job

ACCEPTED, SUBMITTING, CONFIRMED = JobState.ACCEPTED, JobState.SUBMITTING, JobState.CONFIRMED


def job(state: JobState, at_ms: int, **fields: Any) -> bytes:
    return json_codec.encode(sample_job(state=state, updated_at_ms=at_ms, **fields))


class Reads:
    """Replies of a worker, one per read; the last one is repeated."""

    def __init__(self, *replies: bytes | FailureError) -> None:
        self._replies = list(replies)
        self.count = 0

    async def __call__(self) -> bytes:
        self.count += 1
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, FailureError):
            raise reply
        return reply


def shown(frame: bytes) -> str:
    """Return the state in a frame, or the name of another event; `comment` for a comment."""
    fields = dict(line.split(": ", 1) for line in frame.decode().splitlines() if ": " in line)
    if "event" not in fields:
        return "comment"
    return str(json.loads(fields["data"]).get("state", fields["event"]))


async def all_of(frames: AsyncGenerator[bytes]) -> list[str]:
    async with asyncio.timeout(HANGS_AFTER_S):
        return [shown(frame) async for frame in frames]


async def test_every_update_is_sent_once_until_the_end() -> None:
    stream = JobStream(Reads(job(ACCEPTED, 1)))
    await stream.load()
    for body in (
        job(ACCEPTED, 1),  # read already
        job(SUBMITTING, 2, attempts=1),
        job(SUBMITTING, 2, attempts=1),
        job(SUBMITTING, 2, attempts=2),  # another change within the same millisecond
        job(ACCEPTED, 1),  # overtaken
        b"of another version",
        job(CONFIRMED, 3),
        job(CONFIRMED, 3),
    ):
        stream.push(body)
    assert await all_of(stream.frames()) == [ACCEPTED, SUBMITTING, SUBMITTING, CONFIRMED]


async def test_an_update_that_arrives_during_the_read_follows_the_reply() -> None:
    async def read_job() -> bytes:
        stream.push(job(CONFIRMED, 2))
        return job(ACCEPTED, 1)

    stream = JobStream(read_job)
    await stream.load()
    assert await all_of(stream.frames()) == [ACCEPTED, CONFIRMED]


async def test_the_end_is_sent_even_if_its_workers_clock_is_behind() -> None:
    stream = JobStream(Reads(job(SUBMITTING, 5_000)))
    await stream.load()
    stream.push(job(CONFIRMED, 4_000))
    assert await all_of(stream.frames()) == [SUBMITTING, CONFIRMED]


async def test_an_update_wakes_a_waiting_stream() -> None:
    stream = JobStream(Reads(job(ACCEPTED, 1)))
    await stream.load()
    frames = asyncio.create_task(all_of(stream.frames()))
    await asyncio.sleep(0)
    stream.push(job(CONFIRMED, 2))
    assert await frames == [ACCEPTED, CONFIRMED]


async def test_a_lost_update_is_read_again_after_a_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge.job_streams, "HEARTBEAT_INTERVAL_S", 0.0)
    unavailable = FailureError(ErrorCode.NATS_UNAVAILABLE, "No worker is running.")
    reads = Reads(job(ACCEPTED, 1), unavailable, job(ACCEPTED, 1), job(CONFIRMED, 2))
    stream = JobStream(reads)
    await stream.load()
    assert await all_of(stream.frames()) == [ACCEPTED, *["comment"] * 3, CONFIRMED]
    assert reads.count == 4


async def test_a_job_that_is_no_longer_stored_closes_the_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge.job_streams, "HEARTBEAT_INTERVAL_S", 0.0)
    gone = FailureError(ErrorCode.NOT_FOUND, "There is no such job.")
    stream = JobStream(Reads(job(ACCEPTED, 1), gone))
    await stream.load()
    assert await all_of(stream.frames()) == [ACCEPTED, "comment", "closing"]


async def test_a_failed_first_read_is_raised() -> None:
    stream = JobStream(Reads(FailureError(ErrorCode.NOT_FOUND, "There is no such job.")))
    with pytest.raises(FailureError, match="no such job"):
        await stream.load()


async def test_closing_ends_open_and_later_streams_but_not_ended_ones() -> None:
    streams = JobStreams()
    reads = Reads(job(ACCEPTED, 1))
    with streams.open(reads) as left:
        pass
    with streams.open(reads) as listener:
        streams.close()
        assert await all_of(listener.frames()) == ["closing"]
    with streams.open(reads) as late:
        assert await all_of(late.frames()) == ["closing"]
    frames = left.frames()
    waiting = asyncio.ensure_future(anext(frames))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
