"""Helpers of planners."""

from pylon.jobs.job_planner import expiry_failure, unreadable_request, would_change
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import BlockNumber, IdentityName, JobId, JobKind, NetUid

JOB = Job(
    job_id=JobId("a"),
    identity=IdentityName("alice"),
    netuid=NetUid(1),
    kind=JobKind.COMMITMENT,
    created_at_ms=0,
    updated_at_ms=0,
)


def test_only_different_values_change_a_job() -> None:
    assert not would_change(JOB, {})
    assert not would_change(JOB, {"attempts": 0, "last_error": None})
    assert would_change(JOB, {"attempts": 0, "deadline_block": BlockNumber(5)})


def test_an_expired_job_keeps_its_last_error() -> None:
    assert expiry_failure(JOB, BlockNumber(7)).code is ErrorCode.EXPIRED
    assert "block 7" in expiry_failure(JOB, BlockNumber(7)).detail
    failure = FailureError(ErrorCode.RATE_LIMITED, "every 100 blocks").failure
    limited = JOB.model_copy(update={"last_error": failure})
    assert expiry_failure(limited, BlockNumber(7)) == failure


def test_an_unreadable_request_is_rejected() -> None:
    plan = unreadable_request()
    assert plan.state is JobState.REJECTED
    assert plan.failure is not None
    assert plan.failure.code is ErrorCode.INVALID
