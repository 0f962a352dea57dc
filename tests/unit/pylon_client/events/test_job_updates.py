"""Subscriptions to jobs that are renewed after a failure."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pylon_client.contract import json_codec
from pylon_client.contract.jobs import Job
from pylon_client.contract.types import IdentityName, JobId, JobKind, NetUid
from pylon_client.errors import PylonRequestException
from pylon_client.events import job_updates
from pylon_client.events.job_updates import JobUpdateSubscription
from tests.support.product.eventually import HANGS_AFTER_S

JOB = Job(
    job_id=JobId("a" * 26),
    identity=IdentityName("sn1"),
    netuid=NetUid(1),
    kind=JobKind.WEIGHTS,
    created_at_ms=1,
    updated_at_ms=1,
)


class JobStream:
    """A stream that yields the given bodies and then breaks.

    Attributes:
        opened: the number of attempts to open it.
    """

    def __init__(self, *bodies: bytes) -> None:
        self.opened = 0
        self._bodies = bodies

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[AsyncIterator[bytes]]:
        self.opened += 1

        async def bodies() -> AsyncGenerator[bytes]:
            for body in self._bodies:
                yield body
            raise PylonRequestException("broken")

        yield bodies()


async def test_updates_are_returned_until_the_stream_breaks() -> None:
    stream = JobStream(json_codec.encode(JOB))
    updates = JobUpdateSubscription(stream.open)
    assert await updates.next(HANGS_AFTER_S) == JOB
    assert updates.is_live
    assert await updates.next(HANGS_AFTER_S) is None
    assert not updates.is_live
    await updates.close()


async def test_a_broken_stream_is_opened_again_after_a_delay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_updates, "RESUBSCRIBE_INITIAL_DELAY_S", 0.0)
    stream = JobStream(json_codec.encode(JOB))
    updates = JobUpdateSubscription(stream.open)
    for _ in range(2):
        assert await updates.next(HANGS_AFTER_S) == JOB
        assert await updates.next(HANGS_AFTER_S) is None
    assert stream.opened == 2
    await updates.close()


async def test_a_stream_that_cannot_be_opened_waits_for_the_timeout() -> None:
    stream = JobStream()
    updates = JobUpdateSubscription(stream.open)
    for _ in range(3):
        assert await updates.next(0.01) is None
    assert stream.opened == 1
    await updates.close()


async def test_unreadable_updates_are_skipped() -> None:
    updates = JobUpdateSubscription(JobStream(b'{"newer": true}', json_codec.encode(JOB)).open)
    assert await updates.next(HANGS_AFTER_S) == JOB
    await updates.close()


async def test_closing_cancels_the_task() -> None:
    @asynccontextmanager
    async def silent() -> AsyncGenerator[AsyncIterator[bytes]]:
        await asyncio.Event().wait()
        yield aiter(JobStream())  # type: ignore[arg-type]

    updates = JobUpdateSubscription(silent)
    assert await updates.next(0.01) is None
    await updates.close()
    await updates.close()
    assert len(asyncio.all_tasks()) == 1
