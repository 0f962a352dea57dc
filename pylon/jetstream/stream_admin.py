"""Requests of operators' commands to JetStream: purge a stream, test a write, read the clock."""

import json
import time
from datetime import datetime
from typing import Any, Final

import nats.errors
from nats.js.client import JetStreamContext

from pylon.jetstream.error_codes import readable_replies
from pylon.jetstream.request_retry import REQUEST_TIMEOUT_S
from pylon.jetstream.write_health import WriteHealth
from pylon_client.nats.nats_connection import NatsConnection

ADMIN_TIMEOUT_S: Final = 5.0
"""Timeout of a request to the JetStream API, in seconds."""


class JetStreamRequestError(Exception):
    """A request that JetStream did not answer, or answered with an error; the text says why."""


async def purge(connection: NatsConnection, stream: str) -> None:
    """Remove every message of a stream.

    Raises:
        JetStreamRequestError: JetStream did not confirm it.
    """
    context = JetStreamContext(connection.nats, timeout=ADMIN_TIMEOUT_S)
    try:
        with readable_replies():
            await context.purge_stream(stream)
    except (nats.errors.Error, OSError) as error:
        raise JetStreamRequestError(str(error)) from None


async def write_probe(connection: NatsConnection, stream: str, subject: str) -> None:
    """Write an empty message to a stream.

    Args:
        connection: as the user `worker`.
        stream: name of the stream, for the error.
        subject: subject of the stream to write to.

    Raises:
        JetStreamRequestError: JetStream did not acknowledge the message.
    """
    context = JetStreamContext(connection.nats, timeout=REQUEST_TIMEOUT_S)
    try:
        with WriteHealth().track_write(stream, connection), readable_replies():
            await context.publish(subject, b"")
    except (nats.errors.Error, OSError) as error:
        raise JetStreamRequestError(str(error)) from None


async def server_clock_offset_s(connection: NatsConnection, stream: str) -> float | None:
    """Return how far the NATS server's clock is ahead of this machine's, in seconds.

    Uses the time in JetStream's reply about a stream, and assumes that it is the middle of the
    request.

    Args:
        connection: as a user that may look at streams.
        stream: name of the stream; it does not have to exist.

    Returns:
        None if the reply has no time.

    Raises:
        JetStreamRequestError: there is no reply, or it cannot be read.
    """
    sent_s = time.time()
    try:
        with readable_replies():
            reply = await connection.nats.request(
                f"$JS.API.STREAM.INFO.{stream}", timeout=ADMIN_TIMEOUT_S
            )
            received_s = time.time()
            info: Any = json.loads(reply.data)
            if "ts" not in info:
                return None
            server_s = datetime.fromisoformat(info["ts"]).timestamp()
    except (nats.errors.Error, OSError) as error:
        raise JetStreamRequestError(str(error)) from None
    return server_s - (sent_s + received_s) / 2
