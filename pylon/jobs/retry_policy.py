"""How often and how soon a job is tried again: tenacity's strategies, on counts that are kept.

Its own loops would forget them with the process; a job's attempts stand in the ledger, and what
comes between two of them is a delayed redelivery, which outlives every worker.
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

JITTER_FRACTION: Final = 0.1
"""Up to so much of a pause is added to it, so that jobs that failed together come apart."""
OUTAGE_DELAY_MIN_S: Final = 0.5
OUTAGE_DELAY_MAX_S: Final = 10.0
"""A block's time: whoever waits longer for the chain to come back loses blocks of its window."""


class RetryPolicy:
    """Patience with the chain.

    A chain that cannot be reached refuses nothing: such a time costs no attempt.

    Args:
        attempts: how often the chain may refuse a job.
        delay_s: the pause after a refusal; the pauses of an outage grow from there.
    """

    def __init__(self, attempts: int, delay_s: float) -> None:
        self._after_refusal = Retrying(
            stop=stop_after_attempt(attempts),
            wait=wait_fixed(delay_s) + wait_random(0, JITTER_FRACTION * delay_s),
        )
        self._after_outage = Retrying(
            wait=wait_exponential(
                multiplier=max(delay_s, OUTAGE_DELAY_MIN_S), max=max(delay_s, OUTAGE_DELAY_MAX_S)
            )
            + wait_random(0, JITTER_FRACTION * OUTAGE_DELAY_MIN_S)
        )

    def is_exhausted(self, attempts: int) -> bool:
        """Whether a job that was tried so often is not to be tried again."""
        return self._after_refusal.stop(_retry_state(self._after_refusal, attempts))

    def retry_delay_s(self, attempts: int) -> float:
        """How long to wait after the chain has refused a job for that many times."""
        return self._after_refusal.wait(_retry_state(self._after_refusal, attempts))

    def outage_delay_s(self, failures: int) -> float:
        """How long to wait after the chain was not to be reached for that many times on end."""
        return self._after_outage.wait(_retry_state(self._after_outage, failures))


def _retry_state(retrying: Retrying, attempts: int) -> RetryCallState:
    state = RetryCallState(retrying, None, (), {})
    state.attempt_number = attempts
    return state
