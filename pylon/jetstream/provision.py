"""The streams that Pylon needs: made where they are missing, checked where they are not."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any, Final

import nats.errors
import nats.js.errors
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext

from pylon.jetstream.error_codes import is_name_in_use, readable_replies
from pylon.jetstream.stream_rules import ConfigDifference, config_differences, describe_differences
from pylon_client.contract.topology import STREAMS, StreamPlan
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

API_TIMEOUT_S: Final = 5.0
READY_TIMEOUT_S: Final = 30.0
RETRY_DELAY_S: Final = 0.2


class ProvisionError(Exception):
    """NATS does not hold what Pylon needs of it; the text says what and what to do."""


async def provision_streams(
    connection: NatsConnection, plans: tuple[StreamPlan, ...] = STREAMS, *, replicas: int = 1
) -> list[str]:
    """Make every planned stream that is missing, and check those that exist.

    It may run at the same time in any number of workers. A stream that exists is never changed: a
    change could delete what it holds. Its operator may give it more than its plan has, as
    `stream_rules` says.

    Args:
        connection: as the user `worker`.
        plans: what is needed.
        replicas: how many servers keep a stream that is made here.

    Returns:
        The names of the streams that were missing and have been made.

    Raises:
        ProvisionError: Pylon cannot work with a stream as it is, or JetStream did not answer
            within `READY_TIMEOUT_S` seconds, which a server that just started may need.
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
    """Return what is wrong with a stream; None where it does not exist. Nothing is changed.

    Raises:
        ProvisionError: JetStream does not answer.
    """
    context = JetStreamContext(connection.nats, timeout=API_TIMEOUT_S)
    try:
        with readable_replies():
            return config_differences(plan, (await context.stream_info(plan.name)).config)
    except nats.js.errors.NotFoundError:
        return None
    except (nats.errors.Error, OSError) as error:
        raise ProvisionError(f"JetStream does not answer: {error}") from None


async def recreate_stream(connection: NatsConnection, plan: StreamPlan) -> None:
    """Replace a stream by an empty one of the same configuration, whose sequences begin later.

    Raises:
        ProvisionError: JetStream refuses or does not answer.
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
    """What JetStream keeps on disk, and how much it may; None for as much as there is."""

    used_bytes: int
    limit_bytes: int | None


async def storage_usage(connection: NatsConnection) -> StorageUsage:
    """How full JetStream's storage is.

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
    """Return what is wrong with a stream, and whether the stream was made here."""
    last = "no answer"
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while True:
                try:
                    return await _try_get_or_create(context, plan, replicas)
                except nats.js.errors.ServiceUnavailableError as error:
                    last = error.description or "JetStream is not enabled, or has no leader"
                except (nats.errors.Error, OSError) as error:
                    # Another worker may have just made it, with a first revision of its own.
                    if isinstance(error, nats.js.errors.APIError) and not is_name_in_use(error):
                        raise ProvisionError(
                            f"NATS refuses the stream {plan.name}: {error.description}"
                        ) from None
                    last = str(error)
                await asyncio.sleep(RETRY_DELAY_S)
    except TimeoutError:
        raise ProvisionError(
            f"JetStream did not answer within {READY_TIMEOUT_S:.0f} s: {last}"
        ) from None


async def _try_get_or_create(
    context: JetStreamContext, plan: StreamPlan, replicas: int
) -> tuple[list[ConfigDifference], bool]:
    try:
        with readable_replies():
            return config_differences(plan, (await context.stream_info(plan.name)).config), False
    except nats.js.errors.NotFoundError:
        config = stream_config(plan, replicas=replicas)
        with readable_replies():
            made = (await context.add_stream(config)).config  # pyright: ignore[reportUnknownMemberType] -- the library leaves its **params open
            found = config_differences(plan, made)
        logger.info("Made the stream %s", plan.name)
        return found, True


def stream_config(plan: StreamPlan, *, replicas: int) -> StreamConfig:
    """Return the configuration with which a stream is made."""
    return StreamConfig(
        name=plan.name,
        num_replicas=replicas,
        first_seq=None if plan.is_work_queue else _first_sequence(plan),
        **_stream_settings(plan),
    )


def _first_sequence(plan: StreamPlan) -> int:
    """Return a sequence that a stream has not reached which was deleted before.

    Otherwise a writer that has read the deleted stream could pass a compare-and-set in the one that
    was made in its place. A bucket takes far less than one write per millisecond. Elsewhere it is
    one per second: sequences of events travel in headers, in which readers take ten digits.
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
