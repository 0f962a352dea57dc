"""Announcements of signers."""

import nats.errors
import pytest

from pylon.events.signer_events import SignerEvents
from pylon_client.contract.types import IdentityName
from tests.support.nats.fake_connection import FakeConnection, as_connection


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection()


async def test_every_worker_receives_the_identity_and_the_payload(
    connection: FakeConnection,
) -> None:
    events = SignerEvents(as_connection(connection))
    received: list[tuple[IdentityName, bytes]] = []
    await events.subscribe(lambda identity, body: received.append((identity, body)))
    await events.publish(IdentityName("sn1"), b"one")
    await events.publish(IdentityName("sn2"), b"")
    assert received == [("sn1", b"one"), ("sn2", b"")]


async def test_announcements_of_invalid_names_are_skipped(connection: FakeConnection) -> None:
    received: list[IdentityName] = []
    await SignerEvents(as_connection(connection)).subscribe(
        lambda identity, _: received.append(identity)
    )
    (wildcard,) = connection.callbacks
    for name in ("\ufffd", "a b", "x" * 64, "sn1"):
        await connection.deliver(wildcard.replace("*", name), b"")
    assert received == ["sn1"]


async def test_an_announcement_is_dropped_while_nats_is_disconnected(
    connection: FakeConnection,
) -> None:
    connection.error = nats.errors.ConnectionClosedError()
    await SignerEvents(as_connection(connection)).publish(IdentityName("sn1"), b"")
