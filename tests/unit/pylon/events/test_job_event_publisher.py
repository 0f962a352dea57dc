"""Publishing of job events."""

import nats.errors
import pytest

from pylon.events.job_event_publisher import JobEventPublisher
from pylon_client.contract.jobs import Job
from tests.support.nats.fake_connection import FakeConnection, as_connection
from tests.support.product.sample_jobs import sample_job

JOB = sample_job()


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
