"""Retries of JetStream requests while there is no leader, no connection or no decision."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import nats.errors
import nats.js.errors

from pylon.jetstream.error_codes import is_temporary, is_undecided
from pylon.jetstream.write_health import NotAcknowledgedError
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats.cancellation import no_lost_cancellation

TRY_FOR_S: Final = 3.0
"""Timeout of one request, in seconds."""
WITHIN_S: Final = 15.0
"""Limit of all retries of a request, in seconds: a cluster took up to 5 s to elect a leader."""
RETRY_WAIT_S: Final = 0.2
"""Pause before a retry without a leader, a connection or a stream, in seconds."""
UNDECIDED_WAIT_S: Final = 0.02
"""Longest pause before a retry of an undecided request, in seconds.

A message in flight is stored within a few milliseconds. The pause is random, so that concurrent
writers do not retry at the same time.
"""

T = TypeVar("T")


async def until_answered(ask: Callable[[], Awaitable[T]], what: str) -> T:
    """Return the answer of `ask`, retried while JetStream has no leader, stream or connection.

    Args:
        ask: sends the request.
        what: the subject of the failure's text.

    Raises:
        FailureError: NATS_UNAVAILABLE after `WITHIN_S` seconds, or when JetStream refuses; with the
            reason, where it is known.
    """
    last: Exception | None = None

    async def persist() -> T:
        nonlocal last
        while True:
            try:
                with no_lost_cancellation():
                    return await ask()
            except nats.js.errors.APIError as error:
                if is_undecided(error) or not is_temporary(error):
                    raise
                last = error
            except (nats.errors.Error, OSError) as error:
                last = error  # no connection, no stream, or no answer
            await asyncio.sleep(RETRY_WAIT_S)

    try:
        return await until_decided(persist, what, lambda: _reason(last))
    except nats.js.errors.APIError as error:
        raise FailureError(
            ErrorCode.NATS_UNAVAILABLE, f"{what} refused: error {error.err_code}."
        ) from error


async def until_decided(
    ask: Callable[[], Awaitable[T]], what: str, reason: Callable[[], str] = str
) -> T:
    """Return the answer of `ask`, retried while it depends on a message in flight.

    Args:
        ask: sends the request; any other error passes.
        what: the subject of the failure's text.
        reason: returns the end of that text: why the last try failed.

    Raises:
        FailureError: NATS_UNAVAILABLE after `WITHIN_S` seconds.
    """
    deadline = asyncio.timeout(WITHIN_S)
    try:
        async with deadline:
            while True:
                try:
                    return await ask()
                except nats.js.errors.APIError as error:
                    if not is_undecided(error):
                        raise
                await asyncio.sleep(random.uniform(0, UNDECIDED_WAIT_S))  # noqa: S311 -- spreads load
    except TimeoutError:
        if not deadline.expired():
            raise  # one of `ask`'s own
        raise FailureError(
            ErrorCode.NATS_UNAVAILABLE, f"{what} did not answer within {WITHIN_S:g} s{reason()}."
        ) from None


def _reason(last: Exception | None) -> str:
    if isinstance(last, nats.js.errors.APIError) and last.description:
        return f": {last.description} (error {last.err_code})"
    if isinstance(last, NotAcknowledgedError):
        return f": {last}"
    return ""
