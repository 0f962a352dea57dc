"""Retry JetStream requests: in elections and outages, and after conflicts with unstored messages.

A compare-and-set of a replicated stream fails with error 10164 until a message in flight is stored;
its outcome is unknown until then. A real conflict is a `ConflictError` of the bucket, which the
caller handles.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import nats.errors
import nats.js.errors

from pylon.jetstream.error_codes import is_in_flight, is_temporary
from pylon.jetstream.write_health import NotAcknowledgedError
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats.cancellation import preserve_cancellation

REQUEST_TIMEOUT_S: Final = 3.0
"""Timeout of one request, in seconds."""
RETRY_TIMEOUT_S: Final = 15.0
"""Timeout of a request with all its retries, in seconds; a leader election took up to 5 s."""
RETRY_DELAY_S: Final = 0.2
"""Pause before a retry without a leader, a connection or a stream, in seconds."""
MAX_IN_FLIGHT_DELAY_S: Final = 0.02
"""Maximum pause before a retry of a request that depends on a message in flight, in seconds.

A message in flight is stored within a few milliseconds. The pause is random, so that concurrent
writers do not retry at the same time.
"""

T = TypeVar("T")


async def retry_while_unavailable(send: Callable[[], Awaitable[T]], service_name: str) -> T:
    """Return the result of `send`, retried while JetStream has no leader, stream or connection.

    Args:
        send: sends the request.
        service_name: subject of the error text.

    Raises:
        FailureError: NATS_UNAVAILABLE after `RETRY_TIMEOUT_S` seconds or a permanent error of
            JetStream; with the reason, if it is known.
    """
    last: Exception | None = None

    async def attempt() -> T:
        nonlocal last
        while True:
            try:
                with preserve_cancellation():
                    return await send()
            except nats.js.errors.APIError as error:
                if is_in_flight(error) or not is_temporary(error):
                    raise
                last = error
            except (nats.errors.Error, OSError) as error:
                last = error  # no connection, no stream, or no answer
            await asyncio.sleep(RETRY_DELAY_S)

    try:
        return await retry_while_in_flight(attempt, service_name, lambda: _error_reason(last))
    except nats.js.errors.APIError as error:
        raise FailureError(
            ErrorCode.NATS_UNAVAILABLE, f"{service_name} refused: error {error.err_code}."
        ) from error


async def retry_while_in_flight(
    send: Callable[[], Awaitable[T]], service_name: str, reason: Callable[[], str] = str
) -> T:
    """Return the result of `send`, retried while it depends on a message in flight.

    Args:
        send: sends the request; other errors are raised.
        service_name: subject of the error text.
        reason: returns the end of the error text: the reason of the last failure.

    Raises:
        FailureError: NATS_UNAVAILABLE after `RETRY_TIMEOUT_S` seconds.
    """
    deadline = asyncio.timeout(RETRY_TIMEOUT_S)
    try:
        async with deadline:
            while True:
                try:
                    return await send()
                except nats.js.errors.APIError as error:
                    if not is_in_flight(error):
                        raise
                await asyncio.sleep(random.uniform(0, MAX_IN_FLIGHT_DELAY_S))  # noqa: S311 -- spreads load
    except TimeoutError:
        if not deadline.expired():
            raise  # raised by `send`
        raise FailureError(
            ErrorCode.NATS_UNAVAILABLE,
            f"{service_name} did not answer within {RETRY_TIMEOUT_S:g} s{reason()}.",
        ) from None


def _error_reason(last: Exception | None) -> str:
    if isinstance(last, nats.js.errors.APIError) and last.description:
        return f": {last.description} (error {last.err_code})"
    if isinstance(last, NotAcknowledgedError):
        return f": {last}"
    return ""
