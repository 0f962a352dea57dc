"""Number of attempts of a job and delays between them, by tenacity's strategies on stored counts.

Tenacity's own loops would lose their state with the process. The attempts of a job are in the job
store, and the delay is a delayed redelivery of its message, which survives a restart of the worker.
"""

from typing import Final

from tenacity import (
    RetryCallState,
    Retrying,
    stop_after_attempt,
    wait_exponential,
    wait_fixed,
    wait_random,
)

RATE_LIMIT_RETRY_BLOCKS: Final = 10
"""Blocks until the next attempt after a rate limit whose end the chain state does not show."""
JITTER_FRACTION: Final = 0.1
"""Maximum fraction of a delay that is added at random, so that jobs do not retry in step."""
MIN_OUTAGE_DELAY_S: Final = 0.5
"""Delay after the first failure of an outage, in seconds, unless the retry delay is longer."""
MAX_OUTAGE_DELAY_S: Final = 10.0
"""Maximum delay in an outage, in seconds: a longer one would miss blocks of the job's window."""


class RetryPolicy:
    """Decides whether and when a job is tried again.

    An outage of the chain is not a refusal, and does not count as an attempt.

    Args:
        attempts: maximum number of attempts that the chain may refuse.
        delay_s: delay after a refusal, in seconds; delays in an outage start with it and grow.
    """

    def __init__(self, attempts: int, delay_s: float) -> None:
        self._after_refusal = Retrying(
            stop=stop_after_attempt(attempts),
            wait=wait_fixed(delay_s) + wait_random(0, JITTER_FRACTION * delay_s),
        )
        self._after_outage = Retrying(
            wait=wait_exponential(
                multiplier=max(delay_s, MIN_OUTAGE_DELAY_S), max=max(delay_s, MAX_OUTAGE_DELAY_S)
            )
            + wait_random(0, JITTER_FRACTION * MIN_OUTAGE_DELAY_S)
        )

    def is_exhausted(self, attempts: int) -> bool:
        """Return whether a job has used all its attempts."""
        return self._after_refusal.stop(_retry_state(self._after_refusal, attempts))

    def retry_delay_s(self, attempts: int) -> float:
        """Return the seconds to wait after the chain has refused a job that many times."""
        return self._after_refusal.wait(_retry_state(self._after_refusal, attempts))

    def outage_delay_s(self, failures: int) -> float:
        """Return the seconds to wait after that many consecutive failures to reach the chain."""
        return self._after_outage.wait(_retry_state(self._after_outage, failures))


def _retry_state(retrying: Retrying, attempts: int) -> RetryCallState:
    state = RetryCallState(retrying, None, (), {})
    state.attempt_number = attempts
    return state
