"""Delays between attempts, and the maximum number of attempts."""

import pytest

from pylon.jobs.retry_policy import JITTER_FRACTION, MAX_OUTAGE_DELAY_S, RetryPolicy


def test_a_job_is_exhausted_after_the_configured_attempts() -> None:
    retries = RetryPolicy(attempts=3, delay_s=1.0)
    assert [retries.is_exhausted(attempts) for attempts in (1, 2, 3, 4)] == [
        False, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("attempts", [1, 2, 200])
def test_the_delay_after_a_refusal_is_the_setting_with_jitter(attempts: int) -> None:
    pauses = {RetryPolicy(200, 2.0).retry_delay_s(attempts) for _ in range(50)}
    assert min(pauses) >= 2.0
    assert max(pauses) <= 2.0 * (1 + JITTER_FRACTION)
    assert len(pauses) > 1


def test_delays_in_an_outage_grow_to_the_maximum() -> None:
    retries = RetryPolicy(200, 1.0)
    pauses = [round(retries.outage_delay_s(failures)) for failures in range(1, 2000)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) == MAX_OUTAGE_DELAY_S


def test_an_outage_has_a_delay_even_if_the_retry_delay_is_zero() -> None:
    assert RetryPolicy(5, 0.0).retry_delay_s(1) == 0.0
    assert RetryPolicy(5, 0.0).outage_delay_s(1) > 0.0
