"""Exponential backoff with jitter."""

import logging

from pylon_client.exponential_backoff import Backoff


def test_delays_double_up_to_the_maximum() -> None:
    backoff = Backoff(0.1, 1.0, jitter=False)
    assert [round(backoff.next_delay_s(), 3) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.reset()
    assert backoff.next_delay_s() == 0.1


def test_jitter_keeps_delays_between_half_and_all_of_their_maximum() -> None:
    for _ in range(100):
        backoff = Backoff(0.1, 1.0)
        assert 0.05 <= backoff.next_delay_s() <= 0.1
        assert 0.1 <= backoff.next_delay_s() <= 0.2
    assert len({Backoff(0.1, 1.0).next_delay_s() for _ in range(100)}) > 1


def test_a_very_long_failure_does_not_overflow() -> None:
    backoff = Backoff(0.1, 1.0, jitter=False)
    assert {backoff.next_delay_s() for _ in range(5000)} == {0.1, 0.2, 0.4, 0.8, 1.0}


def test_only_the_first_failure_is_a_warning() -> None:
    backoff = Backoff(0.1, 1.0)
    assert backoff.log_level == logging.WARNING
    backoff.next_delay_s()
    assert (backoff.attempts, backoff.log_level) == (1, logging.DEBUG)
    backoff.reset()
    assert (backoff.attempts, backoff.log_level) == (0, logging.WARNING)


async def test_waiting_counts_a_failure() -> None:
    backoff = Backoff(0.0, 0.0)
    await backoff.wait()
    assert backoff.attempts == 1
