"""List the jobs of an identity in pages; the cost of a page does not depend on the number of jobs.

Open jobs come first, from their markers. Ended jobs follow, the last ended first: the entry of an
ended job is never written again, so its revision is a stable cursor.
"""

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Final

from pylon.jobs.bucket_port import BucketPort
from pylon.jobs.open_jobs import OpenJobs
from pylon.jobs.stored_job import StoredJob, try_decode_job
from pylon_client.contract.types import IdentityName, JobId, Revision
from pylon_client.contract.writes import ListJobs

MAX_PAGE_BYTES: Final = 4_194_304
"""Bytes of JSON after which a page ends; a job with 4096 left-out weights has 0.4 MB."""

_OPEN: Final = "open"
_ENDED: Final = "ended"


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs of an identity.

    Attributes:
        jobs: jobs, newest first.
        next: cursor of the next page; None on the last page.
    """

    jobs: list[StoredJob]
    next: str | None


class JobPages:
    """Reads pages of jobs.

    Args:
        store: the bucket of the job store.
        open_jobs: the index of open jobs.
    """

    def __init__(self, store: BucketPort, open_jobs: OpenJobs) -> None:
        self._store = store
        self._open_jobs = open_jobs

    async def page(self, identity: IdentityName, query: ListJobs) -> JobPage:
        """Return the page of jobs that a query asks for.

        A job that ends between two requests is in one page or in both.
        """
        found: list[StoredJob] = []
        found_bytes = 0
        following: str | None = None
        async for stored, cursor in self._iterate(identity, query):
            if len(found) == query.limit or (found and found_bytes >= MAX_PAGE_BYTES):
                break
            found.append(stored)
            found_bytes += len(stored.job.model_dump_json())
            following = cursor
        else:
            following = None
        found.sort(key=lambda one: (one.job.created_at_ms, one.record.number), reverse=True)
        return JobPage(found, following)

    async def _iterate(
        self, identity: IdentityName, query: ListJobs
    ) -> AsyncGenerator[tuple[StoredJob, str]]:
        """Yield the jobs after the cursor of a query, each with its cursor."""
        phase, _, position = (query.before or f"{_OPEN}.").partition(".")
        listed: frozenset[JobId] = frozenset()
        if phase == _OPEN and query.state != _ENDED:
            stored = await self._open_jobs.list_jobs(identity)
            listed = frozenset(one.job.job_id for one in stored)
            for one in _after_cursor(stored, position):
                yield one, f"{_OPEN}.{one.job.created_at_ms}.{one.job.job_id}"
        elif query.state is None:
            listed = await self._open_jobs.ids(identity)
        if query.state == _OPEN:
            return
        before = Revision(int(position)) if phase == _ENDED else None
        while True:
            page = await self._store.newest_first(
                f"job.{identity}", before=before, count=query.limit + 1
            )
            for entry in page.entries:
                one = try_decode_job(entry)
                # Workers of older versions write open jobs without a marker.
                is_listed = one is None or one.job.job_id in listed
                if one is None or is_listed or (query.state and not one.job.has_ended):
                    continue
                yield one, f"{_ENDED}.{entry.revision}"
            if page.is_last:
                return
            before = page.entries[-1].revision


def _after_cursor(stored: Iterable[StoredJob], cursor: str) -> list[StoredJob]:
    """Return the open jobs after a cursor, in the order of the list."""
    created_at_ms, _, job_id = cursor.partition(".")
    ordered = sorted(stored, key=_sort_key, reverse=True)
    if not job_id:
        return ordered
    return [one for one in ordered if _sort_key(one) < (int(created_at_ms), job_id)]


def _sort_key(stored: StoredJob) -> tuple[int, str]:
    return stored.job.created_at_ms, stored.job.job_id
