"""The pause before the next attempt to connect to a chain node, or to send it a request."""

import asyncio

from pylon.chain.chain_guard import WRONG_CHAIN_DETAIL
from pylon.chain.connection_timeouts import ConnectionTimeouts
from pylon.chain.faults import MAX_RETRY_AFTER_S, Fault, Recovery
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.exponential_backoff import Backoff


class ConnectBackoff:
    """Two backoffs of one node: of failed attempts to connect, and of rate limits.

    Only a rate limit also pauses the requests on an open connection.

    Args:
        role: name of the node in error texts, such as "The chain node".
        timeouts: the first delay of each backoff, and the maximum.
    """

    def __init__(self, role: str, timeouts: ConnectionTimeouts) -> None:
        self._role = role
        self._connect = Backoff(timeouts.backoff_s, timeouts.max_backoff_s)
        self._rate_limit = Backoff(timeouts.rate_limit_backoff_s, MAX_RETRY_AFTER_S, jitter=False)
        self._next_attempt_at_s = 0.0
        self._is_wrong_chain = False

    @property
    def failed_attempts(self) -> int:
        """Return the number of consecutive failures to connect, up to a limit."""
        return self._connect.attempts

    @property
    def reason(self) -> str:
        """Return why the node is not used, as the end of a sentence."""
        return "refuses requests for now" if self._rate_limit.attempts else "cannot be reached"

    def raise_if_paused(self, *, is_connected: bool) -> None:
        """Raise during a pause.

        Args:
            is_connected: whether there is an open connection, on which to send a request.

        Raises:
            FailureError: WRONG_CHAIN if the node was of another chain at the last attempt;
                otherwise CHAIN_UNAVAILABLE.
        """
        pause_s = self._next_attempt_at_s - _now_s()
        if pause_s <= 0 or (is_connected and not self._rate_limit.attempts):
            return
        if self._is_wrong_chain:
            raise FailureError(ErrorCode.WRONG_CHAIN, WRONG_CHAIN_DETAIL)
        raise FailureError(
            ErrorCode.CHAIN_UNAVAILABLE,
            f"{self._role} {self.reason}; the next attempt is in {pause_s:.1f} s.",
        )

    def start_pause(self, fault: Fault | None = None) -> None:
        """Start a pause after a fault, or after a connection that never responded."""
        if fault is not None and fault.recovery is Recovery.BACK_OFF:
            delay_s = max(self._rate_limit.next_delay_s(), fault.retry_after_s or 0.0)
        else:
            delay_s = self._connect.next_delay_s()
        self._next_attempt_at_s = _now_s() + delay_s

    def on_connect_failed(self, fault: Fault) -> None:
        """Start a pause after an attempt to connect that failed."""
        self.start_pause(fault)
        self._is_wrong_chain = fault.code is ErrorCode.WRONG_CHAIN

    def on_connected(self) -> None:
        """Record that the node is of the right chain."""
        self._is_wrong_chain = False

    def reset(self) -> None:
        """Start again with the first delays, after a response."""
        self._connect.reset()
        self._rate_limit.reset()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
