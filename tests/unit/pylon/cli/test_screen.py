"""Tables fit the terminal, and ids in them stay whole."""

import io

import pytest
from rich.console import Console

from pylon.cli.jobs.job_row import JOB_COLUMNS, job_row
from pylon.cli.screen import Column, build_table
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import BlockNumber, IdentityName, JobId, JobKind, NetUid

FAILURE = FailureError(ErrorCode.RATE_LIMITED, "Perhaps it is too soon to set [weights].").failure


def job(state: JobState = JobState.FAILED) -> Job:
    return Job(
        job_id=JobId("01JE3QX5ZK8V9R2W7M4N6P0T1B"),
        identity=IdentityName("my-identity"),
        netuid=NetUid(12),
        kind=JobKind.WEIGHTS,
        state=state,
        created_at_ms=1,
        updated_at_ms=1,
        attempts=3,
        retry_at_block=BlockNumber(7_000_000),
        last_error=FAILURE,
    )


def printed(columns: tuple[Column, ...], rows: list[tuple[str, ...]], width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(build_table("Jobs", columns, rows, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [200, 80])
def test_job_ids_are_not_wrapped(width: int) -> None:
    text = printed(JOB_COLUMNS, [job_row(job())], width)
    assert job().job_id in text
    assert "FAILED" in text
    assert max(map(len, text.splitlines())) <= width


def test_columns_that_do_not_fit_are_hidden_and_named() -> None:
    rows = [job_row(job())]
    assert "A wider terminal also shows" not in printed(JOB_COLUMNS, rows, 200)
    text = printed(JOB_COLUMNS, rows, 80)
    assert "A wider terminal also shows: " in text
    assert "tries" in text.partition("also shows: ")[2]
    assert "RATE_LIMITED" in text


def test_columns_without_text_are_hidden_first() -> None:
    columns = (Column("id", 0), Column("why", 1, wraps=True), Column("since", 2))
    text = printed(columns, [("abcdef", "", "today")], 20)
    assert "today" in text
    assert "why" not in text


def test_the_first_column_is_shown_on_any_terminal() -> None:
    assert "abc" in printed((Column("id", 0), Column("other", 1)), [("abc", "x" * 50)], 10)


def test_a_table_without_rows_has_its_titles() -> None:
    assert "since (UTC)" in printed(JOB_COLUMNS, [], 120)
