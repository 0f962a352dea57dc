"""Core NATS messages without an acknowledgement: a lost message is not repeated."""

import contextlib
from collections.abc import Callable

import nats.errors
from nats.aio.msg import Msg

from pylon_client.nats.nats_connection import NatsConnection


async def notify(connection: NatsConnection, subject: str, body: bytes) -> None:
    """Publish a message; drop it while NATS is disconnected."""
    with contextlib.suppress(nats.errors.Error, OSError):
        await connection.nats.publish(subject, body)


async def on_notification(
    connection: NatsConnection,
    subject: str,
    callback: Callable[[str, bytes], None],
    *,
    ignore_closed: bool = False,
) -> None:
    """Subscribe to a subject, which may contain wildcards.

    Args:
        connection: on which messages are received.
        subject: of the messages.
        callback: receives the subject and the payload of each message.
        ignore_closed: whether to return without a subscription if the connection is closed.

    Raises:
        nats.errors.Error: NATS does not accept the subscription.
    """

    async def on_message(message: Msg) -> None:
        callback(message.subject, message.data)

    try:
        await connection.subscribe(subject, on_message)
    except nats.errors.Error:
        if not ignore_closed:
            raise
