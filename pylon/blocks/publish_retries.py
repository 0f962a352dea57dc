"""Retries of requests to the event stream, for as long as NATS does not serve them."""

import logging
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from pylon.blocks.publish_progress import PublishProgress
from pylon_client.contract.failures import FailureError

logger = logging.getLogger(__name__)

MAX_DELAY_S: Final = 2.0
"""Maximum delay between two attempts, in seconds."""


def retry_stream_request(action: str, progress: PublishProgress | None = None) -> AsyncRetrying:
    """Return the attempts of a request to the event stream; they end with success or cancellation.

    The first failure in a row is logged as a warning.

    Args:
        action: the request in the log, such as "publish block 7".
        progress: records that the publisher waits for NATS.
    """

    def log_failure(state: RetryCallState) -> None:
        if progress is not None:
            progress.mark_active()
        error = None if state.outcome is None else state.outcome.exception()
        level = logging.WARNING if state.attempt_number == 1 else logging.DEBUG
        logger.log(level, "Could not %s: %s; retrying", action, error)

    return AsyncRetrying(
        retry=retry_if_exception_type(FailureError),
        wait=wait_random_exponential(multiplier=0.1, max=MAX_DELAY_S),
        before_sleep=log_failure,
    )
