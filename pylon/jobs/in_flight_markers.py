"""The extrinsic that was submitted last with each hotkey; the key is `sent.<hotkey>`."""

from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, ValidationError

from pylon.jetstream.bucket import ABSENT
from pylon.jobs.bucket_port import BucketPort
from pylon.jobs.job_reads import all_jobs, read_job
from pylon.jobs.stored_job import UnreadableEntryError, report_replaced
from pylon_client.contract.jobs import IN_FLIGHT, ExtrinsicRecord
from pylon_client.contract.types import Hotkey, IdentityName, JobId, Revision


class Submission(BaseModel):
    """The extrinsic that was submitted last with a hotkey, and its job."""

    model_config = ConfigDict(frozen=True)

    identity: IdentityName
    job_id: JobId
    extrinsic: ExtrinsicRecord
    genesis: str | None = None


@dataclass(frozen=True, slots=True)
class InFlightMarker:
    """The entry of a hotkey, with its revision; `submission` is None before the first one."""

    submission: Submission | None
    revision: Revision


class InFlightMarkers:
    """Reads and writes the marker of each hotkey.

    Args:
        store: the bucket of the job store.
    """

    def __init__(self, store: BucketPort) -> None:
        self._store = store

    async def get(self, hotkey: Hotkey) -> InFlightMarker:
        """Return the marker of the extrinsic that was submitted last with a hotkey."""
        entry = await self._store.get(_in_flight_key(hotkey))
        if entry is None:
            return InFlightMarker(None, ABSENT)
        try:
            submission = Submission.model_validate_json(entry.value)
        except ValidationError:
            report_replaced(entry)
            submission = await self._find_submission()
        return InFlightMarker(submission, entry.revision)

    async def set(
        self, marker: InFlightMarker, hotkey: Hotkey, submission: Submission
    ) -> InFlightMarker:
        """Store the extrinsic that is about to be submitted with a hotkey.

        This fences off an expired holder of the hotkey's lease.

        Raises:
            ConflictError: another extrinsic was submitted since the marker was read.
        """
        value = submission.model_dump_json().encode()
        revision = await self._store.put(_in_flight_key(hotkey), value, revision=marker.revision)
        return replace(marker, submission=submission, revision=revision)

    async def is_in_flight(self, submission: Submission) -> bool:
        """Return whether the outcome of a submission is not known yet."""
        try:
            stored = await read_job(self._store, submission.identity, submission.job_id)
        except UnreadableEntryError:
            return True  # the outcome cannot be determined
        return (
            stored is not None
            and stored.job.state in IN_FLIGHT
            and stored.job.extrinsic == submission.extrinsic
        )

    async def _find_submission(self) -> Submission | None:
        """Return the in-flight submission with the latest end of its era, of any hotkey."""
        in_flight = [
            Submission(
                identity=one.job.identity,
                job_id=one.job.job_id,
                extrinsic=one.job.extrinsic,
                genesis=one.job.genesis,
            )
            async for one in all_jobs(self._store)
            if one.job.state in IN_FLIGHT and one.job.extrinsic is not None
        ]
        return max(
            in_flight, key=lambda submission: submission.extrinsic.last_valid_block, default=None
        )


def _in_flight_key(hotkey: Hotkey) -> str:
    return f"sent.{hotkey}"
