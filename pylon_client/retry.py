"""Default retries of the client."""

from typing import Final

from tenacity import (
    AsyncRetrying,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from pylon_client.errors import BasePylonException


def is_worth_retrying(error: BaseException) -> bool:
    """Return whether an immediate retry may succeed.

    Errors with `retry_at_block` are not retried: blocks are seconds apart, and the delays of the
    default retries are shorter. Callers may wait for that block.
    """
    return (
        isinstance(error, BasePylonException) and error.retryable and error.retry_at_block is None
    )


_ATTEMPTS: Final = 3
_WAIT_S: Final = wait_exponential(multiplier=0.1) + wait_random(min=0, max=0.2)

DEFAULT_RETRIES: Final = Retrying(
    wait=_WAIT_S,
    stop=stop_after_attempt(_ATTEMPTS),
    retry=retry_if_exception(is_worth_retrying),
    reraise=True,
)
"""Three attempts, with exponential backoff from 0.1 s and up to 0.2 s of jitter."""

ASYNC_DEFAULT_RETRIES: Final = AsyncRetrying(
    wait=_WAIT_S,
    stop=stop_after_attempt(_ATTEMPTS),
    retry=retry_if_exception(is_worth_retrying),
    reraise=True,
)
"""The default retries of the asynchronous client."""
