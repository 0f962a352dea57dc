"""Jobs for unit tests of what shows or delivers them."""

from typing import Any

from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import IdentityName, JobId, JobKind, NetUid


def sample_job(
    letter: str = "a", state: JobState = JobState.ACCEPTED, identity: str = "sn1", **fields: Any
) -> Job:
    """Return a weights job whose id is one letter, repeated."""
    made: dict[str, Any] = {
        "job_id": JobId(letter * 26),
        "identity": IdentityName(identity),
        "netuid": NetUid(1),
        "kind": JobKind.WEIGHTS,
        "state": state,
        "created_at_ms": 1,
        "updated_at_ms": 1,
    }
    return Job(**made | fields)
