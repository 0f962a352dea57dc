"""The jobs of an identity, page by page: what a page costs does not depend on how many there are.

Open jobs come first, by their markers. Ended jobs follow in the order of their ends: the entry of
an ended job is never written again, so that the revision of its entry is its place for good.
"""

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Final

from pylon.jobs.bucket_port import BucketPort
from pylon.jobs.open_jobs import OpenJobs
from pylon.jobs.stored_job import StoredJob, try_decode_job
from pylon_client.contract.types import IdentityName, JobId, Revision
from pylon_client.contract.writes import ListJobs

PAGE_MAX_BYTES: Final = 4_194_304
"""Bytes of jobs in JSON after which a page ends; a job with 4096 left-out weights has 0.4 MB."""

_OPEN: Final = "open"
_ENDED: Final = "ended"


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs of an identity.

    Attributes:
        jobs: the jobs, newest first.
        next: the cursor of the page that follows; None for the last page.
    """

    jobs: list[StoredJob]
    next: str | None


class JobPages:
    """Reads pages of jobs.

    Args:
        store: where the ledger is.
        open_jobs: the index of those that have not ended.
    """

    def __init__(self, store: BucketPort, open_jobs: OpenJobs) -> None:
        self._store = store
        self._open_jobs = open_jobs

    async def page(self, identity: IdentityName, query: ListJobs) -> JobPage:
        """Return the page of jobs that is asked for.

        A job that ends between two pages is in one of them, or in both.
        """
        found: list[StoredJob] = []
        found_bytes = 0
        following: str | None = None
        async for stored, cursor in self._iterate(identity, query):
            if len(found) == query.limit or (found and found_bytes >= PAGE_MAX_BYTES):
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
        """Give the jobs behind the cursor, each with a cursor that stands behind it."""
        phase, _, place = (query.before or f"{_OPEN}.").partition(".")
        listed: frozenset[JobId] = frozenset()
        if phase == _OPEN and query.state != _ENDED:
            stored = await self._open_jobs.list_jobs(identity)
            listed = frozenset(one.job.job_id for one in stored)
            for one in _after_cursor(stored, place):
                yield one, f"{_OPEN}.{one.job.created_at_ms}.{one.job.job_id}"
        elif query.state is None:
            listed = await self._open_jobs.ids(identity)
        if query.state == _OPEN:
            return
        before = Revision(int(place)) if phase == _ENDED else None
        while True:
            page = await self._store.newest_first(
                f"job.{identity}", before=before, count=query.limit + 1
            )
            for entry in page.entries:
                one = try_decode_job(entry)
                # An open job without a marker was written by a worker of an older version.
                is_listed = one is None or one.job.job_id in listed
                if one is None or is_listed or (query.state and not one.job.has_ended):
                    continue
                yield one, f"{_ENDED}.{entry.revision}"
            if page.is_last:
                return
            before = page.entries[-1].revision


def _after_cursor(stored: Iterable[StoredJob], cursor: str) -> list[StoredJob]:
    """Return the open jobs behind a place, in the order of the list."""
    created_at_ms, _, job_id = cursor.partition(".")
    ordered = sorted(stored, key=_sort_key, reverse=True)
    if not job_id:
        return ordered
    return [one for one in ordered if _sort_key(one) < (int(created_at_ms), job_id)]


def _sort_key(stored: StoredJob) -> tuple[int, str]:
    return stored.job.created_at_ms, stored.job.job_id
