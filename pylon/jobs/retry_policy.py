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

JITTER: Final = 0.1
"""Up to so much of a pause is added to it, so that jobs that failed together come apart."""
OUTAGE_FIRST_S: Final = 0.5
OUTAGE_MAX_S: Final = 10.0
"""A block's time: whoever waits longer for the chain to come back loses blocks of its window."""


class Retries:
    """Patience with the chain.

    A chain that cannot be reached refuses nothing: such a time costs no attempt.

    Args:
        attempts: how often the chain may refuse a job.
        delay_s: the pause after a refusal; the pauses of an outage grow from there.
    """

    def __init__(self, attempts: int, delay_s: float) -> None:
        self._refused = Retrying(
            stop=stop_after_attempt(attempts),
            wait=wait_fixed(delay_s) + wait_random(0, JITTER * delay_s),
        )
        self._cut_off = Retrying(
            wait=wait_exponential(
                multiplier=max(delay_s, OUTAGE_FIRST_S), max=max(delay_s, OUTAGE_MAX_S)
            )
            + wait_random(0, JITTER * OUTAGE_FIRST_S)
        )

    def are_used_up(self, attempts: int) -> bool:
        """Whether a job that was tried so often is not to be tried again."""
        return self._refused.stop(_after(self._refused, attempts))

    def pause_s(self, attempts: int) -> float:
        """How long to wait after the chain has refused a job for that many times."""
        return self._refused.wait(_after(self._refused, attempts))

    def outage_pause_s(self, failures: int) -> float:
        """How long to wait after the chain was not to be reached for that many times on end."""
        return self._cut_off.wait(_after(self._cut_off, failures))


def _after(retrying: Retrying, attempts: int) -> RetryCallState:
    state = RetryCallState(retrying, None, (), {})
    state.attempt_number = attempts
    return state
