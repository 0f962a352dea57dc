"""Checks of writes to JetStream and of published blocks."""

from datetime import UTC, datetime, timedelta

import pytest

from pylon.blocks.leadership import PUBLISHER_LEASE
from pylon.cli.check import stream_check
from pylon.cli.check.findings import Finding, Level
from pylon.cli.check.stream_check import MIN_STALE_S, STALE_BLOCKS, check_storage
from pylon.events.event_log import EventLog, StoredEvent
from pylon.jetstream.lease import Leases
from pylon.jetstream.stream_admin import JetStreamRequestError
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.events.stored_events import FeedEvent
from tests.support.chain.fake_chain import block_of
from tests.support.nats.fake_connection import FakeConnection, as_connection

BLOCK_S = 12.0


class JetStream:
    """The state that the check looks at.

    Attributes:
        error: raised by writes.
        newest: the newest block event; an exception is raised.
        is_led: whether a worker holds the publisher lease.
    """

    error: Exception | None = None
    newest: StoredEvent | FailureError | None = None
    is_led = False


@pytest.fixture
def jetstream(monkeypatch: pytest.MonkeyPatch) -> JetStream:
    state = JetStream()

    async def write_probe(*_: object) -> None:
        if state.error is not None:
            raise state.error

    async def newest(_log: EventLog, _subject: str) -> StoredEvent | None:
        if isinstance(state.newest, FailureError):
            raise state.newest
        return state.newest

    async def is_held(_leases: Leases, name: str) -> bool:
        assert name == PUBLISHER_LEASE
        return state.is_led

    monkeypatch.setattr(stream_check, "write_probe", write_probe)
    monkeypatch.setattr(EventLog, "newest", newest)
    monkeypatch.setattr(Leases, "is_held", is_held)
    return state


def stored(age_s: float) -> StoredEvent:
    event = FeedEvent("pylon.v1.event.block", block_of(7), b"")
    return StoredEvent(1, event, datetime.now(UTC) - timedelta(seconds=age_s))


async def findings(block_s: float = BLOCK_S) -> list[Finding]:
    connection = as_connection(FakeConnection())
    return [finding async for finding in check_storage(connection, block_s)]


async def test_without_any_block_the_first_worker_is_awaited(jetstream: JetStream) -> None:
    for newest in (None, StoredEvent(1, None)):
        jetstream.newest = newest
        writes, blocks = await findings()
        assert (writes.level, blocks.level) == (Level.OK, Level.OK)
        assert "none yet" in blocks.text


@pytest.mark.parametrize(
    ("block_s", "age_s", "is_recent"),
    [
        (BLOCK_S, STALE_BLOCKS * BLOCK_S - 5, True),
        (BLOCK_S, STALE_BLOCKS * BLOCK_S + 5, False),
        (0.25, MIN_STALE_S - 5, True),
        (0.25, MIN_STALE_S + 5, False),
        (BLOCK_S, -60, True),
    ],
)
async def test_a_block_is_recent_for_some_block_times(
    jetstream: JetStream, block_s: float, age_s: float, *, is_recent: bool
) -> None:
    jetstream.newest = stored(age_s)
    _, blocks = await findings(block_s)
    assert blocks.level is (Level.OK if is_recent else Level.WARNING)
    assert blocks.text.startswith("the newest is 7, published ")
    assert " -" not in blocks.text


async def test_an_old_block_is_a_failure_if_a_worker_publishes(jetstream: JetStream) -> None:
    jetstream.newest = stored(1000)
    _, blocks = await findings()
    assert blocks.level is Level.WARNING
    assert "no worker publishes" in blocks.text
    jetstream.is_led = True
    _, blocks = await findings()
    assert blocks.level is Level.FAILURE
    assert "holds the publisher lease" in blocks.text
    assert blocks.remedy


async def test_failed_requests_are_failures(jetstream: JetStream) -> None:
    jetstream.error = JetStreamRequestError("no space")
    jetstream.newest = FailureError(ErrorCode.NATS_UNAVAILABLE, "The event stream does not answer.")
    writes, blocks = await findings()
    assert (writes.level, blocks.level) == (Level.FAILURE, Level.FAILURE)
    assert "it stores nothing: no space" in writes.text
    assert "does not answer" in blocks.text
