"""Pauses between attempts."""

import pytest

from pylon.jobs.retry_policy import JITTER_FRACTION, OUTAGE_DELAY_MAX_S, RetryPolicy


def test_a_job_is_tried_as_often_as_the_settings_say() -> None:
    retries = RetryPolicy(attempts=3, delay_s=1.0)
    assert [retries.is_exhausted(attempts) for attempts in (1, 2, 3, 4)] == [
        False, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("attempts", [1, 2, 200])
def test_the_pause_after_a_refusal_is_the_setting_and_some_jitter(attempts: int) -> None:
    pauses = {RetryPolicy(200, 2.0).retry_delay_s(attempts) for _ in range(50)}
    assert min(pauses) >= 2.0
    assert max(pauses) <= 2.0 * (1 + JITTER_FRACTION)
    assert len(pauses) > 1


def test_the_pauses_of_an_outage_grow_to_a_bound() -> None:
    retries = RetryPolicy(200, 1.0)
    pauses = [round(retries.outage_delay_s(failures)) for failures in range(1, 2000)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) == OUTAGE_DELAY_MAX_S


def test_a_delay_of_nothing_is_none_in_an_outage() -> None:
    assert RetryPolicy(5, 0.0).retry_delay_s(1) == 0.0
    assert RetryPolicy(5, 0.0).outage_delay_s(1) > 0.0
