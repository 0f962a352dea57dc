"""The cells of a job."""

import pytest

from pylon.cli.jobs.job_row import JOB_COLUMNS, job_row
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import JobState
from pylon_client.contract.types import BlockNumber, MechanismId
from tests.support.product.sample_jobs import sample_job

FAILURE = FailureError(ErrorCode.RATE_LIMITED, "Perhaps it is too soon to set [weights].").failure


def test_a_row_has_a_cell_for_each_column() -> None:
    row = job_row(sample_job(attempts=3, updated_at_ms=86_400_000, mechanism=MechanismId(2)))
    assert row == ("a" * 26, "sn1 on 1", "weights 2", "ACCEPTED", "01-02 00:00:00", "3", "", "")
    assert len(row) == len(JOB_COLUMNS)


@pytest.mark.parametrize(("state", "text"), [(JobState.WAITING, "block 7"), (JobState.EXPIRED, "")])
def test_only_an_open_job_waits_for_a_block(state: JobState, text: str) -> None:
    assert job_row(sample_job(state=state, retry_at_block=BlockNumber(7)))[6] == text


@pytest.mark.parametrize("state", [JobState.CONFIRMED, JobState.COMMITTED])
def test_a_job_that_succeeded_shows_no_error(state: JobState) -> None:
    assert job_row(sample_job(state=state, last_error=FAILURE))[-1] == ""
    waiting = sample_job(state=JobState.WAITING, last_error=FAILURE)
    assert job_row(waiting)[-1].startswith("RATE_LIMITED: Perhaps")
