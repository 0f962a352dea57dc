"""Jobs and their changes as lines."""

import asyncio
import io
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from rich.console import Console

from pylon.cli.watch import job_view
from pylon.cli.watch.job_view import JOBS_SHOWN, watch_jobs
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.nats.connection_options import ConnectionOptions
from tests.support.nats.fake_connection import FakeConnection
from tests.support.product.deployment import deployment_settings
from tests.support.product.eventually import HANGS_AFTER_S, eventually
from tests.support.product.sample_jobs import sample_job

IDENTITIES = {"sn1": 1, "sn2": 2}


class Watched:
    """A running `watch jobs`, the jobs in the job store, and the printed lines."""

    def __init__(self) -> None:
        self.connection = FakeConnection()
        self.stored: list[Job] = []
        self.reads = 0
        self._output = io.StringIO()
        self.console = Console(file=self._output, width=500)

    @property
    def states(self) -> list[str]:
        """The first letter of the id and the state on each line."""
        return [f"{line[0]} {line.split()[5]}" for line in self._output.getvalue().splitlines()]

    async def connect(self, _options: ConnectionOptions) -> FakeConnection:
        return self.connection

    async def read(self, _connection: object, identities: Sequence[str]) -> list[Job]:
        assert list(identities) == list(IDENTITIES)
        self.reads += 1
        await asyncio.sleep(0)
        return self.stored

    async def publish(self, job: Job) -> None:
        subject = f"pylon.v1.event.job.{job.identity}.{job.job_id}"
        await self.connection.deliver(subject, job.model_dump_json().encode())

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[asyncio.Task[None]]:
        settings = deployment_settings(identities=IDENTITIES)
        task = asyncio.create_task(watch_jobs(settings, self.console))
        await eventually(lambda: self.reads)
        await asyncio.sleep(0)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    watched = Watched()
    monkeypatch.setattr(job_view, "connect", watched.connect)
    monkeypatch.setattr(job_view, "_read_jobs", watched.read)
    return watched


async def test_stored_jobs_come_first_and_then_each_change(watched: Watched) -> None:
    watched.stored = [sample_job("b", created_at_ms=2), sample_job("a", JobState.CONFIRMED)]
    async with watched.running():
        await watched.publish(sample_job("b", JobState.SUBMITTING, updated_at_ms=2))
        await watched.publish(sample_job("c", identity="sn2"))
        await watched.publish(sample_job("d", identity="of-another"))
    assert watched.states == ["a CONFIRMED", "b ACCEPTED", "b SUBMITTING", "c ACCEPTED"]


async def test_repeated_and_overtaken_states_are_not_shown(watched: Watched) -> None:
    async with watched.running():
        for job in (
            sample_job(state=JobState.SUBMITTING, updated_at_ms=5),
            sample_job(state=JobState.SUBMITTING, updated_at_ms=5),
            sample_job(state=JobState.ACCEPTED, updated_at_ms=4),
        ):
            await watched.publish(job)
    assert watched.states == ["a SUBMITTING"]


async def test_changes_within_one_millisecond_are_shown(watched: Watched) -> None:
    async with watched.running():
        await watched.publish(sample_job(state=JobState.SUBMITTING, updated_at_ms=5))
        await watched.publish(sample_job(state=JobState.WAITING, updated_at_ms=5))
    assert watched.states == ["a SUBMITTING", "a WAITING"]


async def test_the_end_is_shown_even_if_its_workers_clock_is_behind(watched: Watched) -> None:
    async with watched.running():
        await watched.publish(sample_job(state=JobState.SUBMITTING, updated_at_ms=5_000))
        await watched.publish(sample_job(state=JobState.CONFIRMED, updated_at_ms=4_000))
        await watched.publish(sample_job(state=JobState.SUBMITTING, updated_at_ms=6_000))
    assert watched.states == ["a SUBMITTING", "a CONFIRMED"]


async def test_after_a_gap_the_jobs_are_read_again(watched: Watched) -> None:
    async with watched.running():
        watched.stored = [sample_job("a", JobState.CONFIRMED)]
        watched.connection.report_gap()
        await eventually(lambda: watched.states)
    assert watched.states == ["a CONFIRMED"]
    assert watched.reads == 2


async def test_a_connection_that_has_ended_permanently_is_an_error(watched: Watched) -> None:
    async with watched.running() as task:
        watched.connection.closed.set()
        async with asyncio.timeout(HANGS_AFTER_S):
            with pytest.raises(FailureError) as raised:
                await task
    assert raised.value.code is ErrorCode.NATS_UNAVAILABLE
    assert watched.connection.closings == 1


def test_the_table_has_the_newest_jobs() -> None:
    table: Any = vars(job_view)["_JobTable"]()
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    for created_at_ms, letter in enumerate(letters):
        table.add(sample_job(letter, created_at_ms=created_at_ms))
    assert [row[0][0] for row in table.rows()] == list(reversed(letters))[:JOBS_SHOWN]
