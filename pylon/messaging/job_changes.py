"""Hearing of the changes of jobs, as they are announced."""

from collections.abc import Callable

from nats.aio.msg import Msg
from pydantic import ValidationError

from pylon_client.contract.jobs import Job
from pylon_client.contract.subjects import identity_job_events
from pylon_client.contract.types import IdentityName
from pylon_client.transport.connection import Connection


async def on_job_changes(
    connection: Connection, identity: IdentityName, heard: Callable[[Job], None]
) -> None:
    """Call `heard` with a job of an identity whenever it has changed; a change may get lost."""

    async def take(message: Msg) -> None:
        try:
            job = Job.model_validate_json(message.data)
        except ValidationError:
            return  # a newer version's, which the ledger's listing leaves out too
        heard(job)

    await connection.subscribe(identity_job_events(identity), take)
