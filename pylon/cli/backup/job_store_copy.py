"""Export the job store to a backup, and import a backup into an empty job store."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from itertools import islice
from typing import Final

from pylon.cli.backup.backup_file import BackupEntry, BackupError
from pylon.jetstream.bucket import ABSENT, ConflictError, Entry
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.stream_admin import JetStreamRequestError, purge
from pylon.jetstream.work_queue import WorkQueue
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.job_store import BACKUP_PREFIXES
from pylon.jobs.open_jobs import OpenJobs
from pylon.jobs.restored_jobs import prepare_restored
from pylon.jobs.stored_job import JobRecord, UnreadableEntryError, decode_job, job_key
from pylon_client.contract.topology import JOB_QUEUE, JOB_STORE, JOBS_BUCKET
from pylon_client.contract.types import Revision
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

PAGE_SIZE: Final = 200
"""Entries per page while entries are read."""
BATCH_SIZE: Final = 50
"""Entries that are written concurrently."""
DAY_S: Final = 86_400

OnProgress = Callable[[int], None]
"""Called with the number of entries that were read or written so far."""


class JobStoreCopy:
    """Exports and imports the job store of a deployment.

    Args:
        connection: as the user `worker`; the bucket of the job store exists.
    """

    def __init__(self, connection: NatsConnection) -> None:
        self._store = OrderedBucket(connection, JOBS_BUCKET)
        self._chain = ChainRecord(self._store)
        self._open_jobs = OpenJobs(self._store)
        self._queue = WorkQueue(connection)
        self._connection = connection

    async def genesis(self) -> str | None:
        """Return the genesis of the chain that the jobs are for, or None."""
        return await self._chain.genesis()

    async def set_legacy_genesis(self, genesis: str | None) -> None:
        """Store the genesis of the chain in a job store that has none."""
        if genesis is not None and await self._chain.genesis() is None:
            await self._chain.set_legacy_genesis(genesis)

    async def export_entries(self) -> AsyncGenerator[BackupEntry]:
        """Yield every entry that a backup needs; an entry that changes meanwhile is yielded again.

        An entry is read before the entries that it refers to: the latest job of a queue and the
        submission of a hotkey before the jobs. So the backup of a job store in use is complete.
        """
        for prefix in BACKUP_PREFIXES:
            after = ABSENT
            while True:
                page = await self._store.oldest_first(prefix, after=after, count=PAGE_SIZE)
                for entry in page.entries:
                    yield BackupEntry(entry.key, entry.value)
                if page.is_last:
                    break
                after = page.entries[-1].revision

    async def is_empty(self) -> bool:
        """Return whether the job store has no entries of jobs."""
        for prefix in BACKUP_PREFIXES:
            page = await self._store.oldest_first(prefix, after=ABSENT, count=1)
            if page.entries:
                return False
        return True

    async def clear(self) -> None:
        """Remove every entry, and every message of the job queue."""
        try:
            for name in (JOB_QUEUE.name, JOB_STORE.name):
                await purge(self._connection, name)
        except JetStreamRequestError as error:
            raise BackupError(f"NATS did not remove the existing jobs: {error}") from None

    async def import_entries(
        self, entries: Iterable[BackupEntry], *, ended_retention_days: int, on_progress: OnProgress
    ) -> int:
        """Write the entries of a backup to the empty job store, and queue the open jobs.

        Args:
            entries: entries of the backup, one per key.
            ended_retention_days: days from now after which ended jobs are removed.
            on_progress: called after each batch.

        Returns:
            The number of jobs that were left out because they cannot be read.

        Raises:
            BackupError: the job store was changed meanwhile.
        """
        left_out = count = 0
        remaining = iter(entries)
        while batch := list(islice(remaining, BATCH_SIZE)):
            try:
                done = await asyncio.gather(
                    *(self._import_entry(entry, ended_retention_days * DAY_S) for entry in batch)
                )
            except ConflictError as error:
                raise BackupError(
                    f"the job store entry {error} was written meanwhile: stop every worker, and "
                    "restore again with --replace"
                ) from None
            left_out += done.count(False)
            count += len(batch)
            on_progress(count)
        return left_out

    async def _import_entry(self, entry: BackupEntry, ended_ttl_s: int) -> bool:
        """Write one entry; return False if it cannot be read."""
        if not entry.key.startswith("job."):
            await self._store.put(entry.key, entry.value, revision=ABSENT)
            return True
        try:
            stored = decode_job(Entry(entry.key, entry.value, Revision(0)))
        except UnreadableEntryError as error:
            logger.warning("Not restored: %s", error.failure.detail)
            return False
        await self._import_job(prepare_restored(stored.record), ended_ttl_s)
        return True

    async def _import_job(self, record: JobRecord, ended_ttl_s: int) -> None:
        job = record.job
        if not job.has_ended:
            await self._open_jobs.mark(job)
        await self._store.put(
            job_key(job.identity, job.job_id),
            record.model_dump_json().encode(),
            revision=ABSENT,
            ttl_s=ended_ttl_s if job.has_ended else None,
        )
        if not job.has_ended:
            await self._queue.publish(record.subject, job.job_id)
