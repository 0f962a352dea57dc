"""The index of open jobs, which are the jobs that have not ended.

Each open job has a marker, which is a separate entry of the job store. The marker is written before
the job and removed after the job has ended, so a crash may leave a surplus marker but never a job
without one. Reading the markers finds every open job; the cost does not depend on the number of
ended jobs. A reader removes surplus markers:

- the marker of an ended job: at once;
- a marker without a job: after `ORPHAN_AFTER_S`, because the job may be about to be written.

A marker is removed by its revision, and the writer of a job always writes its marker again. So a
late removal cannot remove the marker of a job that was created meanwhile with the same id.
"""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from pylon.jetstream.bucket import ABSENT, COMPARE_AND_SET_RETRIES, ConflictError
from pylon.jobs.bucket_port import BucketPort
from pylon.jobs.stored_job import StoredJob, job_key, try_decode_job
from pylon_client.contract.jobs import Job
from pylon_client.contract.types import IdentityName, JobId, JobKind, Revision

logger = logging.getLogger(__name__)

ORPHAN_AFTER_S: Final = 600.0
"""Seconds after which a reader removes a marker without a job."""
UPGRADE_OVERLAP_S: Final = 3600
"""Seconds during which workers of an older version, which write no markers, may still run."""
INDEX_PAGE_SIZE: Final = 200
"""Entries per page while the jobs of an older version are indexed."""

_OPEN: Final = "open"
_INDEXED: Final = "indexed"
_KINDS: Final = {str(kind): kind for kind in JobKind}


class OpenJobs:
    """Reads and writes the index of open jobs.

    Args:
        store: the bucket of the job store.
    """

    def __init__(self, store: BucketPort) -> None:
        self._store = store
        self._orphans: dict[str, tuple[Revision, float]] = {}
        self._indexing: defaultdict[IdentityName, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def mark(self, job: Job) -> None:
        """Write the marker of a job; call this before the job is written."""
        key = _marker_key(job.identity, job.kind, job.job_id)
        revision = ABSENT
        for _ in range(COMPARE_AND_SET_RETRIES):
            try:
                await self._store.put(key, b"", revision=revision)
            except ConflictError:
                found = await self._store.get(key)
                revision = ABSENT if found is None else found.revision
            else:
                return
        raise ConflictError(key)

    async def unmark(self, job: Job) -> None:
        """Remove the marker of a job that is stored as ended."""
        key = _marker_key(job.identity, job.kind, job.job_id)
        marker = await self._store.get(key)
        if marker is None:
            return
        # Read the job after the marker, which may belong to a later job with the same id.
        entry = await self._store.get(job_key(job.identity, job.job_id))
        stored = None if entry is None else try_decode_job(entry)
        if stored is not None and stored.job.has_ended:
            await self._store.remove(key, marker.revision)

    async def list_jobs(
        self, identity: IdentityName, kind: JobKind | None = None
    ) -> list[StoredJob]:
        """Return the open jobs of an identity, newest first.

        Args:
            identity: the identity.
            kind: kind of the jobs; None for all kinds.
        """
        markers = await self._markers(identity, kind)
        entries = await self._store.read(job_key(identity, job_id) for job_id in markers.values())
        stored = [found for entry in entries if (found := try_decode_job(entry)) is not None]
        for one in stored:
            if one.job.has_ended:
                await self.unmark(one.job)
        present = {entry.key for entry in entries}
        await self._remove_orphans(
            identity,
            kind,
            [key for key, job_id in markers.items() if job_key(identity, job_id) not in present],
        )
        return sorted(
            (one for one in stored if not one.job.has_ended),
            key=lambda one: (one.job.created_at_ms, one.record.number),
            reverse=True,
        )

    async def ids(self, identity: IdentityName) -> frozenset[JobId]:
        """Return the ids of the open jobs of an identity; some may have ended recently."""
        return frozenset((await self._markers(identity, None)).values())

    async def _markers(self, identity: IdentityName, kind: JobKind | None) -> dict[str, JobId]:
        """Return the job id of each marker, by the marker's key."""
        # The same request returns the markers and whether they are complete.
        keys = await self._store.keys(_prefix(identity))
        if _indexed_key(identity) not in keys:
            async with self._indexing[identity]:
                keys = await self._store.keys(_prefix(identity))
                if _indexed_key(identity) not in keys:
                    await self._index(identity)
                    keys = await self._store.keys(_prefix(identity))
        found: dict[str, JobId] = {}
        for key in keys:
            name, _, job_id = key.removeprefix(f"{_prefix(identity)}.").partition(".")
            if job_id and name in _KINDS and kind in {None, name}:
                found[key] = JobId(job_id)
        return found

    async def _remove_orphans(
        self, identity: IdentityName, kind: JobKind | None, keys: Sequence[str]
    ) -> None:
        """Remove the markers that have had no job for `ORPHAN_AFTER_S`.

        The time counts from when this worker first saw the marker, by its own clock.
        """
        now_s = time.monotonic()
        seen: dict[str, tuple[Revision, float]] = {}
        for marker in await self._store.read(keys) if keys else []:
            revision, since_s = self._orphans.get(marker.key, (marker.revision, now_s))
            if revision != marker.revision:
                revision, since_s = marker.revision, now_s
            if now_s - since_s >= ORPHAN_AFTER_S:
                await self._store.remove(marker.key, revision)
            else:
                seen[marker.key] = (revision, since_s)
        read = _prefix(identity) if kind is None else f"{_prefix(identity)}.{kind}"
        for key in [key for key in self._orphans if key.startswith(f"{read}.")]:
            del self._orphans[key]
        self._orphans |= seen

    async def _index(self, identity: IdentityName) -> None:
        """Write markers for the open jobs that a worker of an older version has stored.

        This may be interrupted, repeated and executed by several workers concurrently. Older
        workers that still run store further jobs, so it is repeated once, after
        `UPGRADE_OVERLAP_S`.
        """
        count = marked = 0
        after = ABSENT
        while True:
            page = await self._store.oldest_first(
                f"job.{identity}", after=after, count=INDEX_PAGE_SIZE
            )
            for entry in page.entries:
                stored = try_decode_job(entry)
                if stored is not None and not stored.job.has_ended:
                    await self.mark(stored.job)
                    marked += 1
            count += len(page.entries)
            if page.is_last:
                break
            after = page.entries[-1].revision
            logger.info("Indexing jobs of %s: %d read", identity, count)
        first = await self._store.get(f"{_INDEXED}.{identity}")
        now_ms = time.time_ns() // 1_000_000
        is_final = (
            first is not None and now_ms - _parse_int(first.value) >= UPGRADE_OVERLAP_S * 1000
        )
        with contextlib.suppress(ConflictError):  # another worker has indexed them too
            if first is None:
                await self._store.put(f"{_INDEXED}.{identity}", b"%d" % now_ms, revision=ABSENT)
            await self._store.put(
                _indexed_key(identity),
                b"",
                revision=ABSENT,
                ttl_s=None if is_final else UPGRADE_OVERLAP_S,
            )
        logger.info("Indexed jobs of %s: %d read, %d open", identity, count, marked)


async def all_open_jobs(store: BucketPort) -> list[StoredJob]:
    """Return the open jobs of every identity in a job store, configured or not."""
    keys = [*await store.keys(_OPEN), *await store.keys("lane")]
    identities = sorted({key.split(".")[1] for key in keys})
    jobs = OpenJobs(store)
    return [stored for name in identities for stored in await jobs.list_jobs(IdentityName(name))]


def _prefix(identity: IdentityName) -> str:
    return f"{_OPEN}.{identity}"


def _indexed_key(identity: IdentityName) -> str:
    return f"{_prefix(identity)}.{_INDEXED}"


def _marker_key(identity: IdentityName, kind: JobKind, job_id: JobId) -> str:
    return f"{_prefix(identity)}.{kind}.{job_id}"


def _parse_int(text: bytes) -> int:
    return int(text) if text.isdigit() else 0
