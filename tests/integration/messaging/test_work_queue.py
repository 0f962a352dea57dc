import asyncio
from dataclasses import replace

import pytest
import pytest_asyncio
from nats.js.client import JetStreamContext

from pylon.jetstream.work_queue import WorkQueue
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.topology import JOB_QUEUE
from pylon_client.contract.types import IdentityName, JobId, JobKind
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.nats.replicas import Nats

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUBJECT = JobSubject(IdentityName("alice"), JobKind.COMMITMENT)
CAPACITY = 3


@pytest_asyncio.fixture(loop_scope="module")
async def connection(nats: Nats) -> NatsConnection:
    """The stream of jobs, with room for few."""
    return await nats.provision(replace(JOB_QUEUE, max_msgs_per_subject=CAPACITY))


async def queued(connection: NatsConnection) -> int:
    return (await JetStreamContext(connection.nats).stream_info(JOB_QUEUE.name)).state.messages


async def test_one_job_queued_by_many_at_once_is_queued_once(
    connection: NatsConnection, nats: Nats
) -> None:
    queues = [WorkQueue(await nats.connect(first)) for first in range(4)]
    for number in range(CAPACITY):
        job = JobId(f"job-{number}")
        new = await asyncio.gather(
            *(queue.publish(SUBJECT, job) for queue in queues for _ in range(3))
        )
        assert new.count(True) <= 1
        assert not await queues[0].publish(SUBJECT, job), "JetStream reports a duplicate"
        assert await queued(connection) == number + 1


async def test_a_full_queue_is_overloaded_and_accepts_jobs_again_later(
    connection: NatsConnection,
) -> None:
    queue = WorkQueue(connection)
    for number in range(CAPACITY):
        await queue.publish(SUBJECT, JobId(f"job-{number}"))
    for job in ("another", "another", "one more"):
        with pytest.raises(FailureError) as caught:
            await queue.publish(SUBJECT, JobId(job))
        assert caught.value.code is ErrorCode.OVERLOADED
    bobs = JobSubject(IdentityName("bob"), JobKind.COMMITMENT)
    assert await queue.publish(bobs, JobId("of another"))

    await JetStreamContext(connection.nats).delete_msg(JOB_QUEUE.name, 1)
    await queue.publish(SUBJECT, JobId("another"))
    assert await queued(connection) == CAPACITY + 1
