"""Messages without an acknowledgement are dropped silently while NATS is disconnected."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import nats.errors
import pytest

from pylon.rpc.notifications import notify, on_notification

if TYPE_CHECKING:
    from pylon_client.nats.nats_connection import NatsConnection


class FakeConnection:
    """Delivers published messages to its subscriptions, or raises an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.callbacks: dict[str, Any] = {}
        self.nats = self

    async def publish(self, subject: str, body: bytes) -> None:
        if self.error is not None:
            raise self.error
        await self.callbacks[subject](SimpleNamespace(subject=subject, data=body))

    async def subscribe(self, subject: str, callback: Any) -> None:
        if self.error is not None:
            raise self.error
        self.callbacks[subject] = callback


def as_connection(connection: FakeConnection) -> "NatsConnection":
    return cast("NatsConnection", connection)


async def test_the_callback_receives_subject_and_payload() -> None:
    connection = as_connection(FakeConnection())
    received: list[tuple[str, bytes]] = []
    await on_notification(connection, "a.b", lambda *message: received.append(message))
    await notify(connection, "a.b", b"payload")
    assert received == [("a.b", b"payload")]


@pytest.mark.parametrize("error", [nats.errors.ConnectionClosedError(), OSError()])
async def test_a_message_is_dropped_while_nats_is_disconnected(error: Exception) -> None:
    await notify(as_connection(FakeConnection(error)), "a.b", b"payload")


async def test_a_closed_connection_is_ignored_only_on_request() -> None:
    connection = as_connection(FakeConnection(nats.errors.ConnectionClosedError()))
    await on_notification(connection, "a.b", lambda *_: None, ignore_closed=True)
    with pytest.raises(nats.errors.ConnectionClosedError):
        await on_notification(connection, "a.b", lambda *_: None)
