"""Requests of `pylon jobs`, and what is printed."""

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from pylon.cli.jobs import job_requests
from pylon.cli.jobs.job_requests import cancel_job, list_jobs, show_job
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobList, JobState
from pylon_client.contract.types import IdentityName, JobId
from pylon_client.nats.connection_options import ConnectionOptions
from pylon_client.nats.nats_reply import Reply
from tests.support.nats.fake_connection import FakeConnection
from tests.support.product.deployment import deployment_settings, token_of
from tests.support.product.sample_jobs import sample_job

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = deployment_settings(identities={"sn1": 1, "sn2": 2})
SN2 = IdentityName("sn2")
NOT_FOUND = FailureError(ErrorCode.NOT_FOUND, "There is no such job.")


class Workers:
    """Reply to requests; each connection belongs to one identity."""

    def __init__(self) -> None:
        self.reply: Callable[[str, dict[str, Any]], Any] = lambda *_: JobList(jobs=[])
        self.options: list[ConnectionOptions] = []
        self.connections: list[FakeConnection] = []

    async def connect(self, options: ConnectionOptions) -> FakeConnection:
        self.options.append(options)

        def reply(subject: str, body: bytes) -> Reply:
            _, _, _, identity, operation = subject.split(".", 4)
            assert identity == options.user
            return Reply(
                json_codec.encode(self.reply(f"{identity} {operation}", json.loads(body))), {}
            )

        self.connections.append(FakeConnection(reply))
        return self.connections[-1]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    workers = Workers()
    monkeypatch.setattr(job_requests, "connect", workers.connect)
    return workers


def console_of(*, is_terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=200, force_terminal=is_terminal, color_system=None)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def one_job_each(request: str, _params: object) -> JobList:
    is_first = request.startswith("sn1")
    letter, created = ("a", 1) if is_first else ("b", 2)
    job = sample_job(letter, identity=request.split(maxsplit=1)[0], created_at_ms=created)
    return JobList(jobs=[job], next=None if is_first else "ended.5")


async def test_jobs_of_all_identities_are_listed_newest_first(workers: Workers) -> None:
    workers.reply = one_job_each
    console = console_of()
    await list_jobs(SETTINGS, console, None, 1, as_json=False)
    assert [line[0] for line in printed(console).splitlines()] == ["b", "a"]
    assert [(one.user, one.password) for one in workers.options] == [
        (name, token_of(name)) for name in ("sn1", "sn2")
    ]
    assert [one.closings for one in workers.connections] == [1, 1]


async def test_json_has_the_jobs_as_in_the_api(workers: Workers) -> None:
    workers.reply = one_job_each
    console = console_of(is_terminal=True)
    await list_jobs(SETTINGS, console, None, 1, as_json=True)
    listed = json.loads(printed(console))
    assert [Job.model_validate_json(json.dumps(job)).job_id[0] for job in listed["jobs"]] == [
        "b",
        "a",
    ]
    assert listed["has_more"] is True


async def test_a_terminal_shows_a_table_and_whether_there_are_more(workers: Workers) -> None:
    workers.reply = one_job_each
    console = console_of(is_terminal=True)
    await list_jobs(SETTINGS, console, None, 5, as_json=False)
    assert "a" * 26 in printed(console)
    assert "--limit 50 shows more" in printed(console)
    console = console_of(is_terminal=True)
    await list_jobs(SETTINGS, console, IdentityName("sn1"), 5, as_json=False)
    assert "shows more" not in printed(console)


async def test_pages_are_read_until_the_limit(
    monkeypatch: pytest.MonkeyPatch, workers: Workers
) -> None:
    monkeypatch.setattr(job_requests, "MAX_JOBS_PER_PAGE", 3)
    asked: list[dict[str, Any]] = []

    def reply(_request: str, params: dict[str, Any]) -> JobList:
        asked.append(params)
        return JobList(jobs=[sample_job()] * params["limit"], next="ended.5")

    workers.reply = reply
    await list_jobs(SETTINGS, console_of(), SN2, 5, as_json=True)
    assert [(one["limit"], one.get("before")) for one in asked] == [
        (3, None),
        (2, "ended.5"),
    ]


async def test_a_job_is_looked_up_for_every_identity(workers: Workers) -> None:
    def reply(request: str, params: dict[str, Any]) -> Job:
        assert params == {"job_id": "a" * 26}
        if request.startswith("sn1"):
            raise NOT_FOUND
        return sample_job(state=JobState.CANCELLED if "cancel" in request else JobState.ACCEPTED)

    workers.reply = reply
    console = console_of()
    await show_job(SETTINGS, console, JobId("a" * 26), None)
    shown = json.loads(printed(console))
    assert shown["state"] == "ACCEPTED"
    assert None not in shown.values()
    console = console_of()
    await cancel_job(SETTINGS, console, JobId("a" * 26), None)
    assert "CANCELLED" in printed(console)


async def test_a_job_of_no_identity_is_not_found(workers: Workers) -> None:
    def reply(*_: object) -> Job:
        raise NOT_FOUND

    workers.reply = reply
    with pytest.raises(FailureError, match="none of the identities has it"):
        await show_job(SETTINGS, console_of(), JobId("a" * 26), None)
    assert len(workers.options) == 2


async def test_other_failures_end_the_search(workers: Workers) -> None:
    def reply(*_: object) -> Job:
        raise FailureError(ErrorCode.CONFLICT, "It is being submitted.")

    workers.reply = reply
    with pytest.raises(FailureError, match="being submitted"):
        await cancel_job(SETTINGS, console_of(), JobId("a" * 26), None)
    assert len(workers.options) == 1
    assert workers.connections[0].closings == 1


@pytest.mark.parametrize(
    ("identities", "only", "missing"),
    [({}, None, "any identity"), ({"sn1": 1}, "sn9", "an identity 'sn9'")],
)
async def test_a_missing_identity_is_named(
    workers: Workers, identities: dict[str, int], only: str | None, missing: str
) -> None:
    settings = deployment_settings(identities=identities)
    name = None if only is None else IdentityName(only)
    with pytest.raises(FailureError, match=f"does not have {missing}"):
        await list_jobs(settings, console_of(), name, 5, as_json=False)
    assert not workers.options
