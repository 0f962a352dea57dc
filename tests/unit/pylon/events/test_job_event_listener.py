"""Subscriptions to job events."""

import nats.errors
import pytest

from pylon.events.job_event_listener import subscribe_identity_jobs, subscribe_jobs
from pylon.events.job_event_publisher import JobEventPublisher
from pylon_client.contract.jobs import Job
from pylon_client.contract.types import IdentityName, JobId
from tests.support.nats.fake_connection import FakeConnection, as_connection
from tests.support.product.sample_jobs import sample_job

SN1, SN2 = IdentityName("sn1"), IdentityName("sn2")
FIRST, SECOND = JobId("a" * 26), JobId("b" * 26)


def job(job_id: JobId, identity: IdentityName = SN1) -> Job:
    return sample_job(job_id[0], identity=identity)


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection()


async def test_an_identity_receives_its_own_jobs(connection: FakeConnection) -> None:
    received: list[Job] = []
    await subscribe_identity_jobs(as_connection(connection), SN1, received.append)
    publisher = JobEventPublisher(as_connection(connection))
    await publisher.publish(job(FIRST))
    await publisher.publish(job(SECOND, SN2))
    assert received == [job(FIRST)]


async def test_only_jobs_of_interest_are_delivered(connection: FakeConnection) -> None:
    received: list[Job] = []
    job_ids: set[str] = {FIRST}
    await subscribe_jobs(as_connection(connection), job_ids, received.append)
    publisher = JobEventPublisher(as_connection(connection))
    for _ in range(2):
        await publisher.publish(job(FIRST))
        await publisher.publish(job(SECOND, SN2))
        job_ids.add(SECOND)
    assert [one.job_id for one in received] == [FIRST, FIRST, SECOND]


async def test_events_that_cannot_be_decoded_are_skipped(connection: FakeConnection) -> None:
    received: list[Job] = []
    await subscribe_jobs(as_connection(connection), {FIRST}, received.append)
    subject = f"pylon.v1.event.job.sn1.{FIRST}"
    for body in (b"", b"{}", b"\xff", job(FIRST).model_dump_json().encode()):
        await connection.deliver(subject, body)
    assert received == [job(FIRST)]


async def test_only_waiters_for_jobs_ignore_a_closed_connection(connection: FakeConnection) -> None:
    connection.error = nats.errors.ConnectionClosedError()
    await subscribe_jobs(as_connection(connection), set[str](), lambda _: None)
    with pytest.raises(nats.errors.ConnectionClosedError):
        await subscribe_identity_jobs(as_connection(connection), SN1, lambda _: None)
