"""Heartbeats between publishers."""

import pytest

from pylon.events.publisher_heartbeats import PublisherHeartbeats
from pylon_client.contract.subjects import InvalidSubjectError, publisher_event_subject
from pylon_client.contract.types import PublisherId
from tests.support.nats.fake_connection import FakeConnection, as_connection

A, B = PublisherId("0000000a"), PublisherId("0000000b")


async def test_every_worker_receives_whether_a_worker_can_publish() -> None:
    connection = FakeConnection()
    heartbeats = PublisherHeartbeats(as_connection(connection))
    received: list[tuple[PublisherId, bool]] = []
    async with heartbeats.subscription(lambda *heartbeat: received.append(heartbeat)):
        await heartbeats.send(A, is_available=True)
        await heartbeats.send(B, is_available=False)
        await connection.publish("pylon.v1.event.publisher.other", b"available")
        await connection.publish(publisher_event_subject(A), b"of a later version")
    assert received == [(A, True), (B, False), (A, False)]


@pytest.mark.parametrize("publisher", ["", "0000000A", "0000000", "000000000", "a.b", "0000000*"])
def test_a_publisher_is_named_by_eight_hexadecimal_digits(publisher: str) -> None:
    with pytest.raises(InvalidSubjectError, match="not a publisher's id"):
        publisher_event_subject(PublisherId(publisher))
