"""Messages without an acknowledgement are dropped silently while NATS is disconnected."""

import nats.errors
import pytest

from pylon.rpc.notifications import notify, on_notification
from tests.support.nats.fake_connection import FakeConnection, as_connection


def failing_connection(error: Exception) -> FakeConnection:
    connection = FakeConnection()
    connection.error = error
    return connection


async def test_the_callback_receives_subject_and_payload() -> None:
    connection = as_connection(FakeConnection())
    received: list[tuple[str, bytes]] = []
    await on_notification(connection, "a.b", lambda *message: received.append(message))
    await notify(connection, "a.b", b"payload")
    assert received == [("a.b", b"payload")]


@pytest.mark.parametrize("error", [nats.errors.ConnectionClosedError(), OSError()])
async def test_a_message_is_dropped_while_nats_is_disconnected(error: Exception) -> None:
    await notify(as_connection(failing_connection(error)), "a.b", b"payload")


async def test_a_closed_connection_is_ignored_only_on_request() -> None:
    connection = as_connection(failing_connection(nats.errors.ConnectionClosedError()))
    await on_notification(connection, "a.b", lambda *_: None, ignore_closed=True)
    with pytest.raises(nats.errors.ConnectionClosedError):
        await on_notification(connection, "a.b", lambda *_: None)
