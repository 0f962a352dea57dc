"""Pauses after failed attempts to connect, and after rate limits."""

import pytest

from pylon.chain import connect_backoff
from pylon.chain.connect_backoff import ConnectBackoff
from pylon.chain.connection_timeouts import ConnectionTimeouts
from pylon.chain.faults import CONNECTION_LOST, Fault, Recovery
from pylon_client.contract.failures import ErrorCode, FailureError

WRONG_CHAIN = Fault(ErrorCode.WRONG_CHAIN, Recovery.RECONNECT, "another chain")
RATE_LIMIT = Fault(ErrorCode.CHAIN_UNAVAILABLE, Recovery.BACK_OFF, "slow down")


class Clock:
    now_s = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(connect_backoff, "_now_s", lambda: made.now_s)
    return made


@pytest.fixture
def backoff(clock: Clock) -> ConnectBackoff:
    timeouts = ConnectionTimeouts(backoff_s=8.0, max_backoff_s=16.0, rate_limit_backoff_s=60.0)
    return ConnectBackoff("The chain node", timeouts)


def pause_of(backoff: ConnectBackoff, *, is_connected: bool = False) -> FailureError | None:
    try:
        backoff.raise_if_paused(is_connected=is_connected)
    except FailureError as error:
        return error
    return None


def test_a_new_backoff_has_no_pause(backoff: ConnectBackoff) -> None:
    assert pause_of(backoff) is None
    assert backoff.failed_attempts == 0


def test_a_failed_attempt_pauses_the_next_one_up_to_the_maximum(
    backoff: ConnectBackoff, clock: Clock
) -> None:
    for failures, longest_s in enumerate((8.0, 16.0, 16.0), 1):
        backoff.on_connect_failed(CONNECTION_LOST)
        assert backoff.failed_attempts == failures
        error = pause_of(backoff)
        assert error is not None
        assert error.code is ErrorCode.CHAIN_UNAVAILABLE
        assert "The chain node cannot be reached; the next attempt" in error.failure.detail
        clock.now_s += longest_s
        assert pause_of(backoff) is None


def test_a_failed_attempt_does_not_pause_requests_on_an_open_connection(
    backoff: ConnectBackoff,
) -> None:
    backoff.start_pause()
    assert pause_of(backoff) is not None
    assert pause_of(backoff, is_connected=True) is None


def test_a_rate_limit_pauses_requests_on_an_open_connection_too(
    backoff: ConnectBackoff, clock: Clock
) -> None:
    backoff.start_pause(RATE_LIMIT)
    error = pause_of(backoff, is_connected=True)
    assert error is not None
    assert "refuses requests for now; the next attempt is in 60.0 s" in error.failure.detail
    clock.now_s += 60.0
    assert pause_of(backoff, is_connected=True) is None


def test_a_longer_delay_that_the_node_requests_is_kept(
    backoff: ConnectBackoff, clock: Clock
) -> None:
    requested = Fault(RATE_LIMIT.code, RATE_LIMIT.recovery, "slow down", retry_after_s=200.0)
    backoff.start_pause(requested)
    clock.now_s += 199.0
    assert pause_of(backoff) is not None
    clock.now_s += 1.0
    assert pause_of(backoff) is None


def test_a_response_resets_the_delays_and_the_reason(backoff: ConnectBackoff) -> None:
    backoff.on_connect_failed(CONNECTION_LOST)
    backoff.start_pause(RATE_LIMIT)
    assert backoff.reason == "refuses requests for now"
    backoff.reset()
    assert backoff.failed_attempts == 0
    assert backoff.reason == "cannot be reached"
    assert pause_of(backoff, is_connected=True) is None


def test_a_node_of_another_chain_is_named_until_a_connection_is_accepted(
    backoff: ConnectBackoff,
) -> None:
    backoff.on_connect_failed(WRONG_CHAIN)
    error = pause_of(backoff)
    assert error is not None
    assert error.code is ErrorCode.WRONG_CHAIN
    backoff.on_connected()
    error = pause_of(backoff)
    assert error is not None
    assert error.code is ErrorCode.CHAIN_UNAVAILABLE
