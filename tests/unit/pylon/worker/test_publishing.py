"""The publishing parts of a worker: what they remember, and what they measure."""

from typing import TYPE_CHECKING, Any, cast

import pytest

from pylon.blocks.last_published import LastPublished
from pylon.blocks.snapshots import Snapshot, Snapshots
from pylon.events.event_log import EventLog, StoredEvent
from pylon.jetstream.write_health import WriteHealth
from pylon.worker.backends import create_guard
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.publishing import PublishingParts
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.events.stored_events import FeedEvent
from tests.support.chain.fake_chain import FakeChain, block_of
from tests.support.nats.fake_connection import FakeConnection, as_connection

if TYPE_CHECKING:
    from pylon.blocks.head_tracker import HeadTracker

BLOCKS = "pylon.v1.event.block"


class Head:
    """The newest head; a test sets it."""

    newest: BlockNumber | None = None


@pytest.fixture
def head() -> Head:
    return Head()


@pytest.fixture
def metrics() -> WorkerMetrics:
    return WorkerMetrics()


@pytest.fixture
def parts(head: Head, metrics: WorkerMetrics) -> Any:
    settings = WorkerSettings(tracked_netuids=[NetUid(3)])
    return PublishingParts(
        settings,
        FakeChain(),
        cast("HeadTracker", head),
        Snapshots(max_silence_s=60),
        metrics,
        as_connection(FakeConnection()),
        create_guard(settings),
        LastPublished(),
        WriteHealth(),
    )


async def test_metrics_start_at_zero(parts: Any, metrics: WorkerMetrics) -> None:
    assert set(parts.parts) == {"events", "neurons", "streams", "last published block"}
    value = metrics.registry.get_sample_value
    assert value("pylon_publisher_leader") == 0
    assert value("pylon_publisher_stalls_total") == 0
    assert value("pylon_publisher_subnets") == 0
    assert value("pylon_skipped_neurons_total", {"netuid": "3"}) == 0


async def test_a_received_block_above_the_head_is_of_another_chain(parts: Any, head: Head) -> None:
    assert parts._last_received_block(BLOCKS) is None
    parts.snapshots.put(BLOCKS, Snapshot(block_of(7), b""))
    assert parts._last_received_block(BLOCKS) is None, "the head is not known yet"
    for number, expected in ((6, None), (7, block_of(7)), (8, block_of(7))):
        head.newest = BlockNumber(number)
        assert parts._last_received_block(BLOCKS) == expected


async def test_the_newest_stored_block_may_be_missing(
    monkeypatch: pytest.MonkeyPatch, parts: Any
) -> None:
    stored: StoredEvent | None = None

    async def newest(_log: EventLog, subject: str) -> StoredEvent | None:
        assert subject == BLOCKS
        return stored

    monkeypatch.setattr(EventLog, "newest", newest)
    assert await parts._newest_stored_block() is None
    stored = StoredEvent(1, None)
    assert await parts._newest_stored_block() is None
    stored = StoredEvent(1, FeedEvent(BLOCKS, block_of(5), b""))
    assert await parts._newest_stored_block() == (5, None)
