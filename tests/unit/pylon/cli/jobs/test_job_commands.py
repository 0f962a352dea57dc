"""Arguments of `pylon jobs`."""

from typing import Any

import pytest
from typer.testing import CliRunner

from pylon.cli.jobs import job_commands, job_requests
from pylon.cli.jobs.job_commands import jobs_app
from pylon_client.contract.jobs import JOBS_PER_PAGE

JOB_ID = "a" * 26


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests: name and arguments after the settings and the console."""
    asked: list[Any] = []
    for name in ("list_jobs", "show_job", "cancel_job"):

        def request(
            _settings: None, _console: None, *given: Any, of: str = name, **more: Any
        ) -> None:
            asked.append((of, *given, *more.items()))

        monkeypatch.setattr(job_requests, name, request)
    monkeypatch.setattr(
        job_commands, "run_with_deployment", lambda action, _home: action(None, None)
    )
    return asked


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        (["ls"], ("list_jobs", None, JOBS_PER_PAGE, ("as_json", False))),
        (
            ["ls", "--identity", "sn1", "--limit", "5", "--json"],
            ("list_jobs", "sn1", 5, ("as_json", True)),
        ),
        (["show", JOB_ID], ("show_job", JOB_ID, None)),
        (["cancel", JOB_ID, "--identity", "sn1"], ("cancel_job", JOB_ID, "sn1")),
    ],
)
def test_options_become_arguments(
    asked: list[Any], arguments: list[str], request_: tuple[Any, ...]
) -> None:
    result = CliRunner().invoke(jobs_app, arguments)
    assert result.exit_code == 0, result.output
    assert asked == [request_]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["show", "*"], "`pylon jobs ls` lists them"),
        (["cancel", JOB_ID.upper()], "`pylon jobs ls` lists them"),
        (["ls", "--limit", "0"], "greater than or equal to 1"),
    ],
)
def test_wrong_arguments_are_refused(asked: list[Any], arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(jobs_app, arguments, terminal_width=200)
    assert result.exit_code == 2
    assert text in " ".join(result.output.replace("│", " ").split())
    assert not asked
