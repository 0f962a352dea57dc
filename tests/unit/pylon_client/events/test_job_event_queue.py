"""Events of one job over NATS, on a connection without a server."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.events.job_event_queue import JobEventQueue
from pylon_client.nats.nats_errors import PermissionViolation

if TYPE_CHECKING:
    from pylon_client.nats.nats_connection import NatsConnection

SUBJECT = "pylon.v1.event.job.sn1.abc"


class FakeConnection:
    """Stores the callbacks that a queue registers."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.callback: Callable[[Any], Awaitable[None]] | None = None
        self.gap_listeners: list[Callable[[], None]] = []
        self.violation_listeners: list[Callable[[PermissionViolation, FailureError], None]] = []

    @asynccontextmanager
    async def subscription(
        self, subject: str, callback: Callable[[Any], Awaitable[None]]
    ) -> AsyncGenerator[None]:
        assert subject == SUBJECT
        self.callback = callback
        yield
        self.callback = None

    def on_gap(self, listener: Callable[[], None]) -> Callable[[], None]:
        self.gap_listeners.append(listener)
        return lambda: self.gap_listeners.remove(listener)

    def on_permission_violation(
        self, listener: Callable[[PermissionViolation, FailureError], None]
    ) -> Callable[[], None]:
        self.violation_listeners.append(listener)
        return lambda: self.violation_listeners.remove(listener)


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection()


def queue_on(connection: FakeConnection) -> JobEventQueue:
    return JobEventQueue(cast("NatsConnection", connection), SUBJECT)


async def test_events_and_gaps_are_returned_in_order(connection: FakeConnection) -> None:
    async with queue_on(connection) as events:
        assert connection.callback is not None
        await connection.callback(SimpleNamespace(data=b"first"))
        connection.gap_listeners[0]()
        await connection.callback(SimpleNamespace(data=b"second"))
        assert [await events.get() for _ in range(3)] == [b"first", None, b"second"]


async def test_a_denied_subscription_is_raised(connection: FakeConnection) -> None:
    failure = FailureError(ErrorCode.FORBIDDEN, "denied")
    async with queue_on(connection) as events:
        (listener,) = connection.violation_listeners
        listener(PermissionViolation("another", is_subscription=True), failure)
        listener(PermissionViolation(SUBJECT, is_subscription=True), failure)
        with pytest.raises(FailureError, match="denied"):
            await events.get()


async def test_a_closed_connection_is_raised(connection: FakeConnection) -> None:
    async with queue_on(connection) as events:
        connection.closed.set()
        with pytest.raises(FailureError) as raised:
            await events.get()
        assert raised.value.code is ErrorCode.NATS_UNAVAILABLE


async def test_leaving_removes_all_callbacks(connection: FakeConnection) -> None:
    async with queue_on(connection):
        pass
    assert connection.callback is None
    assert not connection.gap_listeners
    assert not connection.violation_listeners
