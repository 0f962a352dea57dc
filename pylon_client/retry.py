"""What the client sends again by itself, and how patiently."""

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
    """Whether sending the same request again at once may work.

    What has to wait for a block of the chain is left to the caller, who reads the block in
    `retry_at_block`: blocks are seconds apart, and the waits here are not.
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
"""Three attempts, with exponential waits from 0.1 s and up to 0.2 s of jitter."""

ASYNC_DEFAULT_RETRIES: Final = AsyncRetrying(
    wait=_WAIT_S,
    stop=stop_after_attempt(_ATTEMPTS),
    retry=retry_if_exception(is_worth_retrying),
    reraise=True,
)
"""The same for the asynchronous client."""
