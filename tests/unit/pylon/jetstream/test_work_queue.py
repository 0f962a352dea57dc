"""Jobs are queued once, and a full queue is reported."""

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import nats.errors
import pytest

from pylon.jetstream import request_retry
from pylon.jetstream.work_queue import WorkQueue
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.topology import JOB_QUEUE
from pylon_client.contract.types import IdentityName, JobId, JobKind
from tests.support.nats.jetstream_api import NO_LEADER, ApiNats, api_error, connection_of
from tests.support.nats.scripted_jetstream import ScriptedJetStream
from tests.support.product.eventually import HANGS_AFTER_S

if TYPE_CHECKING:
    from pylon_client.nats.nats_connection import NatsConnection

SCHEDULES = 200
FAULTS = 40
SUBJECT = JobSubject(IdentityName("alice"), JobKind.COMMITMENT)
JOB = JobId("a" * 26)
ACK = {"stream": JOB_QUEUE.name, "seq": 1}
FULL = api_error(503, 10077, "maximum messages per subject exceeded")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_retry, "RETRY_DELAY_S", 0.0)
    monkeypatch.setattr(request_retry, "MAX_IN_FLIGHT_DELAY_S", 0.0)
    monkeypatch.setattr(request_retry, "RETRY_TIMEOUT_S", HANGS_AFTER_S)


def replies(*answers: Any) -> "NatsConnection":
    left = list(answers)
    return connection_of(lambda *_: left.pop(0))


async def failure_of(connection: "NatsConnection") -> FailureError:
    with pytest.raises(FailureError) as caught:
        await WorkQueue(connection).publish(SUBJECT, JOB)
    return caught.value


async def test_a_job_is_queued_under_its_id() -> None:
    connection = replies(ACK)
    assert await WorkQueue(connection).publish(SUBJECT, JOB)
    assert isinstance(connection.nats, ApiNats)
    assert connection.nats.subjects == [str(SUBJECT)]
    assert connection.nats.headers[0]["Nats-Msg-Id"] == JOB
    assert connection.nats.headers[0]["Nats-Expected-Stream"] == JOB_QUEUE.name


async def test_a_duplicate_is_reported() -> None:
    assert not await WorkQueue(replies({**ACK, "duplicate": True})).publish(SUBJECT, JOB)


@pytest.mark.parametrize(
    "fault",
    [NO_LEADER, nats.errors.TimeoutError(), nats.errors.NoRespondersError(), b"{", {"seq": 1}],
)
async def test_a_job_is_queued_when_jetstream_answers_again(fault: Any) -> None:
    assert await WorkQueue(replies(fault, fault, ACK)).publish(SUBJECT, JOB)


async def test_a_full_queue_is_overloaded_at_once() -> None:
    assert (await failure_of(replies(FULL))).code is ErrorCode.OVERLOADED


async def test_a_refused_job_is_unavailable() -> None:
    error = await failure_of(replies(api_error(400, 10054, "too large")))
    assert error.code is ErrorCode.NATS_UNAVAILABLE
    assert error.failure.detail == "The job queue refused: error 10054."


@pytest.mark.integration  # hundreds of runs
async def test_every_job_is_queued_once_in_a_stream_that_has_not_vanished() -> None:
    for number in range(SCHEDULES):
        stream = ScriptedJetStream(number, FAULTS)
        connection = SimpleNamespace(is_connected=True, nats=stream)
        queue = WorkQueue(cast("NatsConnection", connection))
        jobs = [JobId(letter * 26) for letter in "abcdef"]
        lives: dict[JobId, int] = {}

        async def put(
            job: JobId,
            queue: WorkQueue = queue,
            stream: ScriptedJetStream = stream,
            lives: dict[JobId, int] = lives,
        ) -> None:
            await queue.publish(SUBJECT, job)
            lives[job] = stream.life

        await asyncio.gather(*map(put, jobs * 2))
        for job, life in lives.items():
            queued = Counter(one.life for one in stream.stored if one.body == job.encode())
            assert set(queued.values()) == {1}
            assert max(queued) >= life
