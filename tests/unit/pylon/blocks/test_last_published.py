"""The newest stored block and its age."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from pylon.blocks.last_published import LastPublished, StoredBlock
from pylon.worker.metrics import WorkerMetrics
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber
from tests.support.product.eventually import eventually


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_its_age_begins_with_each_block() -> None:
    clock = Clock()
    published = LastPublished(clock)
    assert (published.block_number, published.age_s, published.stored_at_text) == (None, None, "")
    published.observe(BlockNumber(7))
    clock.now_s += 30
    published.observe(BlockNumber(7))
    assert published.age_s == 30
    published.observe(BlockNumber(8))
    assert (published.block_number, published.age_s) == (8, 0)
    published.observe(BlockNumber(3))  # of a stream that was made again
    assert published.block_number == 3


def test_the_time_of_publication_is_given_in_utc() -> None:
    published = LastPublished()
    published.observe(BlockNumber(7), age_s=3600)
    stored = datetime.strptime(published.stored_at_text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert time.time() - stored.timestamp() >= 3599


async def test_a_worker_that_starts_late_knows_how_old_it_is() -> None:
    published = LastPublished()
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    answers: list[StoredBlock | FailureError | None] = [
        FailureError(ErrorCode.NATS_UNAVAILABLE, "away"),
        None,
        (BlockNumber(5), long_ago),
    ]
    asked = 0

    async def newest() -> StoredBlock | None:
        nonlocal asked
        answer = answers[min(asked, len(answers) - 1)]
        asked += 1
        if isinstance(answer, FailureError):
            raise answer
        return answer

    following = asyncio.create_task(published.poll(newest, interval_s=0.0))
    await eventually(lambda: asked > 5)
    following.cancel()
    assert published.block_number == 5
    assert (published.age_s or 0) >= 3600


async def test_an_answer_from_before_a_publish_does_not_hide_it() -> None:
    published = LastPublished()
    published.observe(BlockNumber(8))
    reads = 0

    async def newest() -> StoredBlock | None:
        nonlocal reads
        reads += 1
        if reads == 1:
            published.observe(BlockNumber(9))  # while the answer is on its way
            return BlockNumber(8), None
        await asyncio.Event().wait()
        return None

    following = asyncio.create_task(published.poll(newest, interval_s=0.0))
    await eventually(lambda: reads == 2)
    following.cancel()
    assert published.block_number == 9


def test_it_is_a_metric() -> None:
    clock = Clock()
    published, metrics = LastPublished(clock), WorkerMetrics()
    metrics.watch_published(published)

    def value(name: str) -> float | None:
        return metrics.registry.get_sample_value(name)

    assert value("pylon_last_published_block") is None
    published.observe(BlockNumber(7), age_s=100)
    clock.now_s += 11
    assert value("pylon_last_published_block") == 7
    assert value("pylon_last_published_age_seconds") == pytest.approx(111)
