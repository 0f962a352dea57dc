"""Publishing of job events."""

import nats.errors
import pytest

from pylon.events.job_event_publisher import JobEventPublisher
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import IdentityName, JobId, JobKind, NetUid
from tests.support.nats.fake_connection import FakeConnection, as_connection

JOB = Job(
    job_id=JobId("a" * 26),
    identity=IdentityName("sn1"),
    netuid=NetUid(1),
    kind=JobKind.WEIGHTS,
    state=JobState.ACCEPTED,
    created_at_ms=1,
    updated_at_ms=1,
)


async def test_a_job_is_published_on_the_subject_of_its_identity() -> None:
    connection = FakeConnection()
    await JobEventPublisher(as_connection(connection)).publish(JOB)
    ((subject, body),) = connection.published
    assert subject == f"pylon.v1.event.job.sn1.{JOB.job_id}"
    assert Job.model_validate_json(body) == JOB


@pytest.mark.parametrize("error", [nats.errors.ConnectionClosedError(), OSError()])
async def test_a_lost_event_is_not_an_error(error: Exception) -> None:
    connection = FakeConnection()
    connection.error = error
    await JobEventPublisher(as_connection(connection)).publish(JOB)
