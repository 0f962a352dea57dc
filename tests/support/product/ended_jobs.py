"""Write many ended jobs to a job store quickly, as a worker stores them."""

import base64
from collections.abc import Sequence

from nats.js.client import JetStreamContext

from pylon.jobs.stored_job import JobRecord, job_key
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.topology import JOB_STORE, JOBS_BUCKET
from pylon_client.contract.types import IdentityName, JobId, JobKind, MechanismId, NetUid
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.product.eventually import comes_true

AT_ONCE = 2000
FIRST_MS = 1_700_000_000_000


def job_of(number: int) -> JobId:
    """Return the id of a job by its number."""
    digits = base64.b32encode(number.to_bytes(16, "big")).decode()
    return JobId(digits.rstrip("=").lower())


def record_of(
    identity: IdentityName, number: int, state: JobState = JobState.SUPERSEDED
) -> JobRecord:
    """Return the record of a weights job that was created `number` ms after the first one."""
    job = Job(
        job_id=job_of(number),
        identity=identity,
        netuid=NetUid(1),
        kind=JobKind.WEIGHTS,
        mechanism=MechanismId(0),
        state=state,
        created_at_ms=FIRST_MS + number,
        updated_at_ms=FIRST_MS + number,
    )
    request = {} if job.has_ended else {"weights": {"hotkey": 1.0}}
    return JobRecord(job=job, number=number, digest="", request=request)


async def write_ended(
    connection: NatsConnection, identity: IdentityName, numbers: Sequence[int]
) -> None:
    """Write entries of ended jobs in the order of their numbers, and wait until all are stored."""
    template = record_of(identity, 0).model_dump_json()
    for count, number in enumerate(numbers, 1):
        # Replace only the parts that differ: validating every record takes too long.
        text = template.replace(job_of(0), job_of(number)).replace(
            str(FIRST_MS), str(FIRST_MS + number)
        )
        key = job_key(identity, job_of(number))
        await connection.nats.publish(f"$KV.{JOBS_BUCKET}.{key}", text.encode())
        if count % AT_ONCE == 0 or count == len(numbers):
            await _stored(connection, identity, number)  # the earlier ones are stored as well


async def _stored(connection: NatsConnection, identity: IdentityName, number: int) -> None:
    stream = JetStreamContext(connection.nats, timeout=60)
    subject = f"$KV.{JOBS_BUCKET}.{job_key(identity, job_of(number))}"

    async def is_there() -> bool:
        info = await stream.stream_info(JOB_STORE.name, subjects_filter=subject)
        return bool(info.state.subjects)

    await connection.nats.flush(60)
    await comes_true(is_there)
