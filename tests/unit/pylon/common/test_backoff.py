"""Delays between retries."""

import logging

from pylon.common.backoff import Backoff


def test_delays_double_up_to_the_maximum() -> None:
    backoff = Backoff(0.5, 3.0, jitter=False)
    assert [backoff.next_delay_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_jitter_keeps_a_delay_between_half_its_maximum_and_its_maximum() -> None:
    delays = [Backoff(2.0, 10.0).next_delay_s() for _ in range(100)]
    assert all(1.0 <= delay <= 2.0 for delay in delays)
    assert len(set(delays)) > 1


def test_many_failures_do_not_overflow() -> None:
    backoff = Backoff(1.0, 60.0, jitter=False)
    assert [backoff.next_delay_s() for _ in range(5_000)][-1] == 60.0


def test_a_reset_starts_again_and_the_first_failure_is_a_warning() -> None:
    backoff = Backoff(1.0, 60.0, jitter=False)
    assert backoff.log_level == logging.WARNING
    backoff.next_delay_s()
    assert (backoff.attempts, backoff.log_level) == (1, logging.DEBUG)
    backoff.reset()
    assert (backoff.attempts, backoff.log_level) == (0, logging.WARNING)
    assert backoff.next_delay_s() == 1.0
