"""Events of one job over NATS, on a connection without a server."""

import pytest

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.events.job_event_queue import JobEventQueue
from tests.support.nats.fake_connection import FakeConnection, as_connection

SUBJECT = "pylon.v1.event.job.sn1.abc"


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection()


def queue_on(connection: FakeConnection) -> JobEventQueue:
    return JobEventQueue(as_connection(connection), SUBJECT)


async def test_events_and_gaps_are_returned_in_order(connection: FakeConnection) -> None:
    async with queue_on(connection) as events:
        await connection.deliver(SUBJECT, b"first")
        connection.report_gap()
        await connection.deliver(SUBJECT, b"second")
        assert [await events.get() for _ in range(3)] == [b"first", None, b"second"]


async def test_a_denied_subscription_is_raised(connection: FakeConnection) -> None:
    async with queue_on(connection) as events:
        connection.deny_subscription("another")
        await connection.deliver(SUBJECT, b"first")
        assert await events.get() == b"first"
        connection.deny_subscription(SUBJECT)
        with pytest.raises(FailureError, match="may not use") as raised:
            await events.get()
        assert raised.value.code is ErrorCode.FORBIDDEN


async def test_a_closed_connection_is_raised(connection: FakeConnection) -> None:
    async with queue_on(connection) as events:
        connection.closed.set()
        with pytest.raises(FailureError) as raised:
            await events.get()
        assert raised.value.code is ErrorCode.NATS_UNAVAILABLE


async def test_leaving_removes_all_callbacks(connection: FakeConnection) -> None:
    async with queue_on(connection):
        pass
    assert not connection.callbacks
    assert not connection.gap_listeners
    assert not connection.violation_listeners
