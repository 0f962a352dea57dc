"""Read stored jobs: one, or all in the order of their last changes."""

from collections.abc import AsyncGenerator
from typing import Final

from pylon.jetstream.bucket import ABSENT
from pylon.jobs.bucket_port import BucketPort
from pylon.jobs.stored_job import StoredJob, decode_job, job_key, try_decode_job
from pylon_client.contract.types import IdentityName, JobId, Revision

HISTORY_PAGE_SIZE: Final = 200
"""Entries per page while jobs are read."""


async def read_job(store: BucketPort, identity: IdentityName, job_id: JobId) -> StoredJob | None:
    """Return a job of an identity, or None.

    Raises:
        UnreadableEntryError: the entry exists, but cannot be read.
    """
    entry = await store.get(job_key(identity, job_id))
    return None if entry is None else decode_job(entry)


async def newest_jobs(store: BucketPort, identity: IdentityName) -> AsyncGenerator[StoredJob]:
    """Yield every stored job of an identity, the last changed first.

    A job that changes meanwhile may be skipped.
    """
    before: Revision | None = None
    while True:
        page = await store.newest_first(f"job.{identity}", before=before, count=HISTORY_PAGE_SIZE)
        for entry in page.entries:
            if (stored := try_decode_job(entry)) is not None:
                yield stored
        if page.is_last:
            return
        before = page.entries[-1].revision


async def all_jobs(
    store: BucketPort, identity: IdentityName | None = None
) -> AsyncGenerator[StoredJob]:
    """Yield every stored job, the last changed last; skip no job that changes meanwhile.

    Args:
        store: the bucket of the job store.
        identity: whose jobs to yield; None for the jobs of all identities.
    """
    prefix = "job" if identity is None else f"job.{identity}"
    after = ABSENT
    while True:
        page = await store.oldest_first(prefix, after=after, count=HISTORY_PAGE_SIZE)
        for entry in page.entries:
            if (stored := try_decode_job(entry)) is not None:
                yield stored
        if page.is_last:
            return
        after = page.entries[-1].revision
