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

from pylon.messaging.jetstream_errors import is_name_in_use, readable_replies
from pylon_client.contract.topology import STREAMS, StreamPlan
from pylon_client.transport.connection import Connection

logger = logging.getLogger(__name__)

API_TIMEOUT_S: Final = 5.0
READY_WITHIN_S: Final = 30.0
RETRY_WAIT_S: Final = 0.2


class ProvisionError(Exception):
    """NATS does not hold what Pylon needs of it; the text says what and what to do."""


async def provision(
    connection: Connection, plans: tuple[StreamPlan, ...] = STREAMS, *, replicas: int = 1
) -> list[str]:
    """Make every planned stream that is missing, and check those that exist.

    It may run at the same time in any number of workers. A stream that differs is never changed:
    it may hold what a change would throw away. How many replicas a stream has is its operator's
    choice and is not checked.

    Args:
        connection: as the user `worker`.
        plans: what is needed.
        replicas: how many servers keep a stream that is made here.

    Returns:
        The names of the streams that were missing and have been made.

    Raises:
        ProvisionError: a stream differs from its plan, or JetStream did not answer within
            `READY_WITHIN_S` seconds, which a server that just started may need.
    """
    context = JetStreamContext(connection.nats, timeout=API_TIMEOUT_S)
    made: list[str] = []
    for plan in plans:
        differences, is_new = await _make_or_find(context, plan, replicas)
        if is_new:
            made.append(plan.name)
        if differences:
            raise ProvisionError(
                f"the stream {plan.name} is not as Pylon needs it: {'; '.join(differences)}. "
                "It is left as it is: change it with the nats tool, or delete it and lose what it "
                "holds"
            )
    return made


async def inspect(connection: Connection, plan: StreamPlan) -> list[str] | None:
    """How a stream differs from its plan, in words; None where there is none. Nothing is changed.

    Raises:
        ProvisionError: JetStream does not answer.
    """
    context = JetStreamContext(connection.nats, timeout=API_TIMEOUT_S)
    try:
        with readable_replies():
            return _differences(plan, (await context.stream_info(plan.name)).config)
    except nats.js.errors.NotFoundError:
        return None
    except (nats.errors.Error, OSError) as error:
        raise ProvisionError(f"JetStream does not answer: {error}") from None


async def remake(connection: Connection, plan: StreamPlan) -> None:
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
class Storage:
    """What JetStream keeps on disk, and how much it may; None for as much as there is."""

    used_bytes: int
    limit_bytes: int | None


async def storage(connection: Connection) -> Storage:
    """How full JetStream's storage is.

    Raises:
        ProvisionError: JetStream does not answer.
    """
    try:
        with readable_replies():
            account = await JetStreamContext(connection.nats, timeout=API_TIMEOUT_S).account_info()
            limit = account.limits.max_storage
            return Storage(account.storage, limit if limit > 0 else None)
    except (nats.errors.Error, OSError) as error:
        raise ProvisionError(f"JetStream does not answer: {error}") from None


async def _make_or_find(
    context: JetStreamContext, plan: StreamPlan, replicas: int
) -> tuple[list[str], bool]:
    """Return how a stream differs from its plan, and whether the stream was made here."""
    last = "no answer"
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            while True:
                try:
                    return await _try_to_make_or_find(context, plan, replicas)
                except nats.js.errors.ServiceUnavailableError as error:
                    last = error.description or "JetStream is not enabled, or has no leader"
                except (nats.errors.Error, OSError) as error:
                    # Another worker may have just made it, with a first revision of its own.
                    if isinstance(error, nats.js.errors.APIError) and not is_name_in_use(error):
                        raise ProvisionError(
                            f"NATS refuses the stream {plan.name}: {error.description}"
                        ) from None
                    last = str(error)
                await asyncio.sleep(RETRY_WAIT_S)
    except TimeoutError:
        raise ProvisionError(
            f"JetStream did not answer within {READY_WITHIN_S:.0f} s: {last}"
        ) from None


async def _try_to_make_or_find(
    context: JetStreamContext, plan: StreamPlan, replicas: int
) -> tuple[list[str], bool]:
    try:
        with readable_replies():
            return _differences(plan, (await context.stream_info(plan.name)).config), False
    except nats.js.errors.NotFoundError:
        config = _config(plan, replicas)
        with readable_replies():
            made = (await context.add_stream(config)).config  # pyright: ignore[reportUnknownMemberType] -- the library leaves its **params open
            differences = _differences(plan, made)
        logger.info("Made the stream %s", plan.name)
        return differences, True


def _config(plan: StreamPlan, replicas: int) -> StreamConfig:
    return StreamConfig(
        name=plan.name,
        num_replicas=replicas,
        first_seq=None if plan.is_work_queue else _first_sequence(plan),
        **_needed(plan),
    )


def _first_sequence(plan: StreamPlan) -> int:
    """Return a sequence that a stream has not reached which was deleted before.

    Otherwise a writer that has read the deleted stream could pass a compare-and-set in the one that
    was made in its place. A bucket takes far less than one write per millisecond. Elsewhere it is
    one per second: sequences of events travel in headers, in which readers take ten digits.
    """
    return time.time_ns() // (10**6 if plan.is_bucket else 10**9)


def _needed(plan: StreamPlan) -> dict[str, Any]:
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
        "allow_msg_ttl": plan.may_expire_singly,
    }


def _differences(plan: StreamPlan, actual: StreamConfig) -> list[str]:
    return [
        f"{name} is {_shown(found)}, not {_shown(wanted)}"
        for name, wanted in _needed(plan).items()
        if (found := _found(actual, name)) != wanted
    ]


def _found(actual: StreamConfig, name: str) -> Any:
    value = getattr(actual, name)
    match name:
        case "subjects":
            return sorted(value or [])
        case "allow_direct" | "allow_msg_ttl" | "discard_new_per_subject":
            return bool(value)
        case "duplicate_window" | "max_age":
            return float(value or 0)
        case _:
            return value


def _shown(value: Any) -> str:
    match value:
        case StorageType() | RetentionPolicy() | DiscardPolicy():
            return str(value.value)
        case list():
            return " ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- a list of anything
        case _:
            return str(value)
