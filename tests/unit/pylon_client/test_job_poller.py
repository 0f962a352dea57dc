"""Waiting for the end of a job, by both clients."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from pylon_client import job_poller
from pylon_client.testing import FakePylon, writes
from pylon_client.v1 import (
    ErrorCode,
    IdentityName,
    Job,
    JobId,
    JobKind,
    JobState,
    NetUid,
    PylonClosed,
    PylonJobTimeoutException,
    PylonNotFound,
    PylonTimeoutException,
    PylonUnavailable,
    TimeoutReason,
)

JOB_ID = JobId("a" * 26)
LONG_S = 60.0


def job_in(state: JobState, updated_at_ms: int = 2) -> Job:
    return Job(
        job_id=JOB_ID,
        identity=IdentityName("sn1"),
        netuid=NetUid(1),
        kind=JobKind.WEIGHTS,
        state=state,
        created_at_ms=1,
        updated_at_ms=updated_at_ms,
    )


def pylon_with(*states: JobState) -> FakePylon:
    """A Pylon whose job is in one state after the other, and stays in the last."""
    left = list(states)
    pylon = FakePylon()

    def answer(_call: Any) -> Job:
        return job_in(left.pop(0) if len(left) > 1 else left[0])

    pylon.answer(writes.GET_JOB, answer)
    return pylon


async def wait(
    pylon: FakePylon,
    flavour: str,
    timeout_s: float,
    on_change: Callable[[Job], object] | None = None,
) -> Job:
    if flavour == "async":
        async with pylon.async_client() as client:
            return await client.identity.wait_for_job(JOB_ID, timeout_s, on_change=on_change)

    def blocking() -> Job:
        with pylon.client() as client:
            return client.identity.wait_for_job(JOB_ID, timeout_s=timeout_s, on_change=on_change)

    return await asyncio.to_thread(blocking)


@pytest.fixture(params=["async", "sync"])
def flavour(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("end", [JobState.CONFIRMED, JobState.COMMITTED, JobState.EXPIRED])
async def test_the_job_is_returned_when_it_has_ended(flavour: str, end: JobState) -> None:
    pylon = pylon_with(JobState.ACCEPTED, JobState.SUBMITTING, end)
    assert await wait(pylon, flavour, LONG_S) == job_in(end)
    assert [call.operation for call in pylon.calls] == [writes.GET_JOB] * 3


async def test_the_timeout_contains_the_last_state_of_the_job(flavour: str) -> None:
    pylon = pylon_with(JobState.ACCEPTED, JobState.WAITING)
    with pytest.raises(PylonJobTimeoutException, match="WAITING") as caught:
        await wait(pylon, flavour, 0.5)
    error = caught.value
    assert isinstance(error, PylonTimeoutException)
    assert (error.reason, error.timeout_seconds) == (TimeoutReason.JOB, 0.5)
    assert (error.job_id, error.job) == (JOB_ID, job_in(JobState.WAITING))
    # 0.1 s at first and twice as long each time, with jitter: never a storm of questions.
    assert 2 <= len(pylon.calls) <= 6


async def test_the_job_is_read_at_least_once(flavour: str) -> None:
    assert (await wait(pylon_with(JobState.CONFIRMED), flavour, 0)).has_succeeded
    pylon = pylon_with(JobState.ACCEPTED)
    with pytest.raises(PylonJobTimeoutException):
        await wait(pylon, flavour, 0)
    assert len(pylon.calls) == 1


async def test_retryable_errors_do_not_end_the_wait(flavour: str) -> None:
    pylon = pylon_with(JobState.ACCEPTED, JobState.CONFIRMED)
    pylon.fail(writes.GET_JOB, ErrorCode.NATS_UNAVAILABLE, times=7)  # more than are sent again
    assert (await wait(pylon, flavour, LONG_S)).state is JobState.CONFIRMED


async def test_the_last_error_is_the_cause_of_the_timeout(flavour: str) -> None:
    pylon = FakePylon()
    pylon.fail(writes.GET_JOB, ErrorCode.NATS_UNAVAILABLE, times=None)
    with pytest.raises(PylonJobTimeoutException, match="was never read") as caught:
        await wait(pylon, flavour, 0.2)
    assert isinstance(caught.value.__cause__, PylonUnavailable)
    assert caught.value.job is None


async def test_an_unknown_job_raises(flavour: str) -> None:
    pylon = FakePylon()
    pylon.fail(writes.GET_JOB, ErrorCode.NOT_FOUND)
    with pytest.raises(PylonNotFound):
        await wait(pylon, flavour, LONG_S)
    assert len(pylon.calls) == 1


async def test_closing_the_client_ends_the_wait_of_another_thread() -> None:
    pylon = pylon_with(JobState.ACCEPTED)
    client = pylon.client()
    client.open()
    waiting = asyncio.create_task(
        asyncio.to_thread(client.identity.wait_for_job, JOB_ID, timeout_s=LONG_S)
    )
    async with asyncio.timeout(LONG_S / 2):
        while not pylon.calls:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(client.close)
        with pytest.raises(PylonClosed):
            await waiting


async def test_published_changes_are_received_without_polling(
    flavour: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # No second poll can come before a hang is noticed.
    monkeypatch.setattr(job_poller, "POLL_WHILE_LIVE_S", LONG_S)
    monkeypatch.setattr(job_poller, "POLL_INITIAL_DELAY_S", LONG_S)
    pylon = pylon_with(JobState.ACCEPTED)
    pylon.publish_job(job_in(JobState.ACCEPTED))
    seen: list[JobState] = []
    following = {
        JobState.ACCEPTED: JobState.SUBMITTING,
        JobState.SUBMITTING: JobState.CONFIRMED,
    }

    def on_change(job: Job) -> None:
        seen.append(job.state)
        if job.state in following:
            pylon.publish_job(job_in(following[job.state], job.updated_at_ms + 1))

    with caplog.at_level(logging.INFO, "pylon_client"):
        ended = await wait(pylon, flavour, 2 * LONG_S, on_change)
    assert ended.state is JobState.CONFIRMED
    assert seen == [JobState.ACCEPTED, JobState.SUBMITTING, JobState.CONFIRMED]
    assert len(pylon.calls) == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"Job {JOB_ID} is {state}" for state in seen
    ]
    assert not pylon._listeners


async def test_the_job_is_polled_after_the_subscription_breaks(
    flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_poller, "POLL_WHILE_LIVE_S", LONG_S)
    pylon = pylon_with(JobState.ACCEPTED, JobState.CONFIRMED)
    pylon.publish_job(job_in(JobState.WAITING, 3))
    seen: list[JobState] = []

    def on_change(job: Job) -> None:
        seen.append(job.state)
        if job.state is JobState.WAITING:
            pylon.break_streams()

    ended = await wait(pylon, flavour, 2 * LONG_S, on_change)
    assert ended.state is seen[-1] is JobState.CONFIRMED
    assert JobState.WAITING in seen


async def test_an_event_older_than_a_reply_is_ignored(flavour: str) -> None:
    pylon = FakePylon()
    pylon.answer(writes.GET_JOB, job_in(JobState.SUBMITTING, 5))
    pylon.publish_job(job_in(JobState.WAITING, 4))
    pylon.publish_job(job_in(JobState.CONFIRMED, 6))
    seen: list[JobState] = []
    await wait(pylon, flavour, LONG_S, lambda job: seen.append(job.state))
    assert seen == [JobState.SUBMITTING, JobState.CONFIRMED]


async def test_an_exception_of_the_callback_ends_the_wait(flavour: str) -> None:
    pylon = pylon_with(JobState.ACCEPTED)
    pylon.publish_job(job_in(JobState.ACCEPTED))

    def on_change(_job: Job) -> None:
        raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        await wait(pylon, flavour, LONG_S, on_change)
    assert not pylon._listeners
