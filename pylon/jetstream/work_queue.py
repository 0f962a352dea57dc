"""Putting jobs into the work queue: durable once it is acknowledged, and once only."""

import nats.js.errors
from nats.js.client import JetStreamContext

from pylon.jetstream.error_codes import is_full, readable_replies, sequence_of
from pylon.jetstream.write_health import WriteHealth
from pylon.jetstream.write_retry import TRY_FOR_S, until_answered
from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.topology import JOBS
from pylon_client.contract.types import JobId
from pylon_client.nats.nats_connection import Connection


class WorkQueue:
    """The stream of jobs.

    Args:
        connection: as the user `worker`.
        health: records which writes are stored.
    """

    def __init__(self, connection: Connection, health: WriteHealth | None = None) -> None:
        self._connection = connection
        self._health = health or WriteHealth()
        self._context = JetStreamContext(connection.nats, timeout=TRY_FOR_S)

    async def publish(self, lane: JobSubject, job_id: JobId) -> bool:
        """Queue a job; repeated within the duplicate window, it is queued once.

        Returns:
            Whether this request queued it; False where JetStream reported a duplicate.

        Raises:
            FailureError: OVERLOADED when the lane is full, NATS_UNAVAILABLE when JetStream did
                not acknowledge it.
        """

        async def publish() -> bool:
            try:
                with self._health.write(JOBS.name, self._connection), readable_replies():
                    ack = await self._context.publish(
                        str(lane),
                        job_id.encode(),
                        stream=JOBS.name,
                        headers={wire_headers.MESSAGE_ID: job_id},
                    )
                    sequence_of(ack, JOBS.name)
            except nats.js.errors.APIError as error:
                if is_full(error):
                    raise FailureError(
                        ErrorCode.OVERLOADED, "Too many jobs of this kind are waiting."
                    ) from error
                raise
            return not ack.duplicate

        return await until_answered(publish, "The queue of jobs")
