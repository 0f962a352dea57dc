"""Provision Pylon's streams: create missing streams, and check existing ones."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any, Final

import nats.errors
import nats.js.errors
from nats.js.api import (
    DiscardPolicy,
    PersistMode,
    RetentionPolicy,
    StorageType,
    StoreCompression,
    StreamConfig,
)
from nats.js.client import JetStreamContext

from pylon.jetstream.error_codes import NO_PEERS, is_name_in_use, readable_replies
from pylon.jetstream.stream_rules import ConfigDifference, config_differences, describe_differences
from pylon_client.contract.topology import STREAMS, StreamPlan
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

API_TIMEOUT_S: Final = 5.0
"""Timeout of a request to the JetStream API, in seconds."""
READY_TIMEOUT_S: Final = 30.0
"""Seconds within which JetStream must answer: a server that just started may need that long."""
RETRY_DELAY_S: Final = 0.2
"""Seconds between two attempts."""


class ProvisionError(Exception):
    """A stream of Pylon is missing or unusable; the text contains the reason and the remedy."""


async def provision_streams(
    connection: NatsConnection, plans: tuple[StreamPlan, ...] = STREAMS, *, replicas: int = 1
) -> list[str]:
    """Create the planned streams that are missing, and check the existing ones.

    Any number of workers may run it at the same time. An existing stream is never changed, since a
    change could delete messages. Its operator may configure it more generously than its plan, see
    `stream_rules`.

    Args:
        connection: as the user `worker`.
        plans: the plans of the streams.
        replicas: number of replicas of a stream that is created here.

    Returns:
        The names of the created streams.

    Raises:
        ProvisionError: a stream's configuration is not usable, or JetStream did not answer within
            `READY_TIMEOUT_S` seconds.
    """
    context = JetStreamContext(connection.nats, timeout=API_TIMEOUT_S)
    made: list[str] = []
    for plan in plans:
        found, is_new = await _get_or_create(context, plan, replicas)
        if is_new:
            made.append(plan.name)
        if found:
            raise ProvisionError(describe_differences(plan, found))
    return made


async def stream_differences(
    connection: NatsConnection, plan: StreamPlan
) -> list[ConfigDifference] | None:
    """Return the differences of a stream from its plan; None if it does not exist.

    Raises:
        ProvisionError: JetStream does not answer.
    """
    context = JetStreamContext(connection.nats, timeout=API_TIMEOUT_S)
    try:
        return await _existing_differences(context, plan)
    except (nats.errors.Error, OSError) as error:
        raise ProvisionError(f"JetStream does not answer: {error}") from None


async def recreate_stream(connection: NatsConnection, plan: StreamPlan) -> None:
    """Replace a stream by an empty one of the same configuration, with higher sequences.

    Raises:
        ProvisionError: JetStream refused or did not answer.
    """
    context = JetStreamContext(connection.nats, timeout=API_TIMEOUT_S)
    try:
        with readable_replies():
            config = (await context.stream_info(plan.name)).config
            await context.delete_stream(plan.name)
            config.first_seq = None if plan.is_work_queue else _first_sequence(plan)
            await context.add_stream(config)  # pyright: ignore[reportUnknownMemberType] -- the library leaves its **params open
    except (nats.errors.Error, OSError) as error:
        raise ProvisionError(f"the stream {plan.name} was not emptied: {error}") from None


@dataclass(frozen=True, slots=True)
class StorageUsage:
    """Used storage of JetStream and its limit in bytes; the limit is None without one."""

    used_bytes: int
    limit_bytes: int | None


async def storage_usage(connection: NatsConnection) -> StorageUsage:
    """Return the used storage of JetStream and its limit.

    Raises:
        ProvisionError: JetStream does not answer.
    """
    try:
        with readable_replies():
            account = await JetStreamContext(connection.nats, timeout=API_TIMEOUT_S).account_info()
            limit = account.limits.max_storage
            return StorageUsage(account.storage, limit if limit > 0 else None)
    except (nats.errors.Error, OSError) as error:
        raise ProvisionError(f"JetStream does not answer: {error}") from None


async def _get_or_create(
    context: JetStreamContext, plan: StreamPlan, replicas: int
) -> tuple[list[ConfigDifference], bool]:
    """Return the differences of a stream from its plan, and whether it was created here.

    A stream that exists after an unanswered request to create it counts as created here.
    """
    last = "no answer"
    may_be_created = False
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while True:
                try:
                    found = await _existing_differences(context, plan)
                    if found is not None:
                        return found, may_be_created
                    try:
                        return await _create(context, plan, replicas), True
                    except nats.js.errors.APIError:
                        raise
                    except (nats.errors.Error, OSError):
                        may_be_created = True
                        raise
                except nats.js.errors.ServiceUnavailableError as error:
                    last = error.description or "JetStream is not enabled, or has no leader"
                except (nats.errors.Error, OSError) as error:
                    if isinstance(error, nats.js.errors.APIError) and not _may_end(error):
                        raise ProvisionError(
                            f"NATS refuses the stream {plan.name}: {error.description}"
                        ) from None
                    last = str(error)
                await asyncio.sleep(RETRY_DELAY_S)
    except TimeoutError:
        raise ProvisionError(
            f"JetStream did not answer within {READY_TIMEOUT_S:.0f} s: {last}"
        ) from None


def _may_end(error: nats.js.errors.APIError) -> bool:
    """Return whether JetStream may accept the stream later.

    Another worker may have just created it, with another first sequence, or servers of the cluster
    may be starting.
    """
    return is_name_in_use(error) or error.err_code == NO_PEERS


async def _existing_differences(
    context: JetStreamContext, plan: StreamPlan
) -> list[ConfigDifference] | None:
    """Return the differences of a stream from its plan; None if it does not exist."""
    try:
        with readable_replies():
            return config_differences(plan, (await context.stream_info(plan.name)).config)
    except nats.js.errors.NotFoundError:
        return None


async def _create(
    context: JetStreamContext, plan: StreamPlan, replicas: int
) -> list[ConfigDifference]:
    """Create a stream, and return its differences from its plan."""
    config = stream_config(plan, replicas=replicas)
    with readable_replies():
        made = (await context.add_stream(config)).config  # pyright: ignore[reportUnknownMemberType] -- the library leaves its **params open
        found = config_differences(plan, made)
    logger.info("Created the stream %s", plan.name)
    return found


def stream_config(plan: StreamPlan, *, replicas: int) -> StreamConfig:
    """Return the configuration with which a stream is created.

    NATS writes a compressed block of messages in addition to the uncompressed one. Compression
    therefore saves writes only if messages are not synced to disk one by one, which NATS supports
    for streams with one replica.
    """
    is_synced_later = plan.is_recoverable and replicas == 1
    return StreamConfig(
        name=plan.name,
        num_replicas=replicas,
        first_seq=None if plan.is_work_queue else _first_sequence(plan),
        persist_mode=PersistMode.ASYNC if is_synced_later else None,
        compression=StoreCompression.S2 if is_synced_later else None,
        **_stream_settings(plan),
    )


def _first_sequence(plan: StreamPlan) -> int:
    """Return a first sequence that a deleted stream of the same name has not reached.

    Otherwise a writer that has read the deleted stream could succeed with a compare-and-set in its
    replacement. A bucket has far less than one write per millisecond, so that its first sequence is
    the time in milliseconds. For other streams it is the time in seconds: headers carry sequences
    of events, and readers accept ten digits.
    """
    return time.time_ns() // (10**6 if plan.is_bucket else 10**9)


def _stream_settings(plan: StreamPlan) -> dict[str, Any]:
    return {
        "subjects": sorted(plan.subjects),
        "storage": StorageType.FILE,
        "retention": RetentionPolicy.WORK_QUEUE if plan.is_work_queue else RetentionPolicy.LIMITS,
        "discard": DiscardPolicy.NEW if plan.is_work_queue else DiscardPolicy.OLD,
        "discard_new_per_subject": plan.is_work_queue,
        "max_msgs_per_subject": plan.max_msgs_per_subject,
        "duplicate_window": float(plan.duplicate_window_s),
        "max_age": float(plan.max_age_s),
        "allow_direct": True,
        "allow_msg_ttl": plan.allow_msg_ttl,
    }
