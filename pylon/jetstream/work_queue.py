"""Publish jobs to the work queue: durable after the acknowledgement, and once only."""

import nats.js.errors
from nats.js.client import JetStreamContext

from pylon.jetstream.error_codes import ack_sequence, is_full, readable_replies
from pylon.jetstream.request_retry import REQUEST_TIMEOUT_S, retry_while_unavailable
from pylon.jetstream.write_health import WriteHealth
from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.topology import JOB_QUEUE
from pylon_client.contract.types import JobId
from pylon_client.nats.nats_connection import NatsConnection


class WorkQueue:
    """The stream of jobs.

    Args:
        connection: as the user `worker`.
        health: records which writes are stored.
    """

    def __init__(self, connection: NatsConnection, health: WriteHealth | None = None) -> None:
        self._connection = connection
        self._write_health = health or WriteHealth()
        self._context = JetStreamContext(connection.nats, timeout=REQUEST_TIMEOUT_S)

    async def publish(self, subject: JobSubject, job_id: JobId) -> bool:
        """Queue a job; a repetition within the duplicate window is ignored.

        Returns:
            Whether this request queued it; False if JetStream reported a duplicate.

        Raises:
            FailureError: OVERLOADED if the queue of the subject is full, NATS_UNAVAILABLE if
                JetStream did not acknowledge the job.
        """

        async def publish() -> bool:
            try:
                with (
                    self._write_health.track_write(JOB_QUEUE.name, self._connection),
                    readable_replies(),
                ):
                    ack = await self._context.publish(
                        str(subject),
                        job_id.encode(),
                        stream=JOB_QUEUE.name,
                        headers={wire_headers.MESSAGE_ID: job_id},
                    )
                    ack_sequence(ack, JOB_QUEUE.name)
            except nats.js.errors.APIError as error:
                if is_full(error):
                    raise FailureError(
                        ErrorCode.OVERLOADED, "Too many jobs of this kind are queued."
                    ) from error
                raise
            return not ack.duplicate

        return await retry_while_unavailable(publish, "The job queue")
