"""Publishes job events."""

from pylon.rpc.notifications import notify
from pylon_client.contract import json_codec
from pylon_client.contract.jobs import Job
from pylon_client.contract.subjects import JobEventSubject
from pylon_client.nats.nats_connection import NatsConnection


class JobEventPublisher:
    """Publishes every change of a job once; clients that miss one find it by requesting the job.

    Args:
        connection: as the user `worker`.
    """

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection

    async def publish(self, job: Job) -> None:
        """Publish the current state of a job."""
        subject = JobEventSubject(job.identity, job.job_id)
        await notify(self._connection, str(subject), json_codec.encode(job))
