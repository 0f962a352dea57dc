"""Snapshots filled from events, and the chain of a reader."""

import asyncio
from types import TracebackType
from typing import Any, Self

import pytest

from pylon.blocks.last_published import LastPublished
from pylon.blocks.snapshots import Snapshots
from pylon.chain.chain_guard import ChainGuard
from pylon.chain.chain_identity import ChainIdentity
from pylon.events.event_types import block_event
from pylon.worker import snapshot_updater
from pylon.worker.binding.chain_binder import ForeignStateError
from pylon.worker.role import WorkerRole
from pylon.worker.settings import WorkerSettings
from pylon.worker.snapshot_updater import SnapshotUpdater
from pylon_client.contract.models import BlockInfo
from pylon_client.contract.types import BlockNumber, NetUid, Timestamp
from pylon_client.events.stored_events import FeedEvent
from tests.support.chain.fake_chain import hash_of
from tests.support.nats.fake_connection import FakeConnection, as_connection
from tests.support.product.secret_texts import secret_of

BLOCKS = "pylon.v1.event.block"
OURS, OTHER = hash_of(0), hash_of(0, fork=1)


def event(number: int, genesis: str = OURS, body: bytes | None = None) -> FeedEvent:
    info = BlockInfo(number=BlockNumber(number), hash=hash_of(number), timestamp=Timestamp(0))
    plain = block_event(info, hash_of(number - 1))
    return FeedEvent(plain.subject, plain.block, body or plain.body, genesis=genesis)


class FakeFeed:
    """Yields the events of a test, and then ends."""

    subjects: tuple[str, ...] = ()

    def __init__(self, *events: FeedEvent) -> None:
        self._events = list(events)

    def __call__(self, _connection: object, subjects: Any, _stored: object) -> Self:
        self.subjects = tuple(subjects)
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FeedEvent:
        await asyncio.sleep(0)
        if not self._events:
            raise StopAsyncIteration
        return self._events.pop(0)


class Updated:
    """The state that an updater fills."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.snapshots = Snapshots(max_silence_s=60)
        self.guard = ChainGuard("node", str, needs_binding=not settings.uses_reader_user)
        self.last_published = LastPublished()
        self._settings = settings

    async def run(self, monkeypatch: pytest.MonkeyPatch, *events: FeedEvent) -> FakeFeed:
        feed = FakeFeed(*events)
        monkeypatch.setattr(snapshot_updater, "EventFeed", feed)
        updater = SnapshotUpdater(self._settings, self.snapshots, self.guard, self.last_published)
        await updater.run(as_connection(FakeConnection()))
        return feed

    @property
    def newest(self) -> int | None:
        snapshot = self.snapshots.get(BLOCKS)
        return None if snapshot is None else snapshot.block.number


@pytest.fixture
def worker() -> Updated:
    return Updated(WorkerSettings(tracked_netuids=[NetUid(3), NetUid(1)]))


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Updated:
    monkeypatch.setenv("PYLON_NATS_READER_PASSWORD", secret_of("reader"))
    return Updated(WorkerSettings(worker_role=WorkerRole.READER))


async def test_blocks_and_tracked_subnets_are_stored(
    monkeypatch: pytest.MonkeyPatch, worker: Updated
) -> None:
    feed = await worker.run(monkeypatch, event(1), event(2))
    assert feed.subjects == (BLOCKS, "pylon.v1.event.neurons.1", "pylon.v1.event.neurons.3")
    assert worker.newest == 2
    assert worker.last_published.block_number is None, "this worker reads the stream for it"
    assert worker.guard.bound is None, "the record in the job store binds it"


async def test_a_body_that_does_not_match_its_headers_is_not_stored(
    monkeypatch: pytest.MonkeyPatch, worker: Updated
) -> None:
    await worker.run(monkeypatch, event(1), event(2, body=b"{}"))
    assert worker.newest == 1


async def test_old_events_of_another_chain_are_skipped(
    monkeypatch: pytest.MonkeyPatch, worker: Updated
) -> None:
    worker.guard.bind(ChainIdentity("node", OURS))
    await worker.run(monkeypatch, event(9, OTHER), event(1), event(2, genesis=""))
    assert worker.newest == 2


async def test_a_reader_is_bound_by_the_events_of_the_signers(
    monkeypatch: pytest.MonkeyPatch, reader: Updated
) -> None:
    await reader.run(monkeypatch, event(1, genesis=""), event(2), event(3))
    assert reader.guard.genesis == OURS
    assert (reader.newest, reader.last_published.block_number) == (3, 3)


async def test_a_reader_stops_when_the_signers_publish_another_chain(
    monkeypatch: pytest.MonkeyPatch, reader: Updated
) -> None:
    with pytest.raises(ForeignStateError, match="another chain"):
        await reader.run(monkeypatch, event(1), event(2, OTHER))
    assert (reader.newest, reader.guard.genesis) == (1, OURS)
