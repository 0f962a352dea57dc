"""Check that JetStream stores messages and that blocks are published."""

import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Final

from pylon.blocks.leadership import PUBLISHER_LEASE
from pylon.cli.check.findings import Finding, failure, ok, warning
from pylon.events.event_log import EventLog
from pylon.jetstream.bucket import Bucket
from pylon.jetstream.lease import Leases
from pylon.jetstream.stream_admin import JetStreamRequestError, write_probe
from pylon.jetstream.write_health import STORAGE_REMEDY
from pylon_client.contract.failures import FailureError
from pylon_client.contract.subjects import BlockEventSubject
from pylon_client.contract.topology import (
    LEADERSHIP_BUCKET,
    LEADERSHIP_TTL_S,
    LEASES,
    LEASES_BUCKET,
)
from pylon_client.nats.nats_connection import NatsConnection

STALE_BLOCKS: Final = 5
"""Maximum age of the newest published block, in block times."""
MIN_STALE_S: Final = 10.0
"""Minimum of that age, in seconds, for chains with short block times."""
_PROBE_SUBJECT: Final = f"$KV.{LEASES_BUCKET}.check"
"""Subject of a key that expires like a lease."""


async def check_storage(
    connection: NatsConnection, block_duration_s: float
) -> AsyncGenerator[Finding]:
    """Check that JetStream stores a message, and that the newest block event is not old.

    Args:
        connection: as the user `worker`; all streams exist.
        block_duration_s: block time of the chain, in seconds.
    """
    yield await _check_writes(connection)
    try:
        yield await _check_events(connection, block_duration_s)
    except FailureError as error:
        yield failure("published blocks", error.failure.detail, STORAGE_REMEDY)


async def _check_writes(connection: NatsConnection) -> Finding:
    try:
        await write_probe(connection, LEASES.name, _PROBE_SUBJECT)
    except JetStreamRequestError as error:
        return failure("JetStream", f"it stores nothing: {error}", STORAGE_REMEDY)
    return ok("JetStream", "it stores what is written")


async def _check_events(connection: NatsConnection, block_duration_s: float) -> Finding:
    subject = "published blocks"
    newest = await EventLog(connection).newest(str(BlockEventSubject()))
    if newest is None or newest.stored_at is None:
        return ok(subject, "none yet; the first worker publishes them")
    age_s = max(0.0, time.time() - newest.stored_at.timestamp())
    text = f"the newest is {newest.block_number}, published {age_s:.0f} s ago"
    if age_s <= max(STALE_BLOCKS * block_duration_s, MIN_STALE_S):
        return ok(subject, text)
    text += f", at {datetime.fromtimestamp(newest.stored_at.timestamp(), UTC):%Y-%m-%dT%H:%M:%SZ}"
    leases = Leases(Bucket(connection, LEADERSHIP_BUCKET), LEADERSHIP_TTL_S)
    if await leases.is_held(PUBLISHER_LEASE):
        return failure(
            subject,
            f"{text}, although a worker holds the publisher lease",
            "read the log of that worker; a NATS server whose disk was full stores nothing until "
            "it is restarted",
        )
    return warning(subject, f"{text}, and no worker publishes", "start a worker, or read its log")
