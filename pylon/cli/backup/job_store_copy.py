"""From the ledger into a backup, and back into an empty ledger."""

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
BATCH_SIZE: Final = 50
"""Entries that are written at once."""
DAY_S: Final = 86_400

OnProgress = Callable[[int], None]
"""Takes how many entries were read or written so far."""


class JobStoreCopy:
    """The ledger of a deployment, to be read into a backup or filled from one.

    Args:
        connection: as the user `worker`; the ledger's bucket exists.
    """

    def __init__(self, connection: NatsConnection) -> None:
        self._store = OrderedBucket(connection, JOBS_BUCKET)
        self._chain = ChainRecord(self._store)
        self._open_jobs = OpenJobs(self._store)
        self._queue = WorkQueue(connection)
        self._connection = connection

    async def genesis(self) -> str | None:
        """Return the genesis of the chain that jobs are for, or None."""
        return await self._chain.genesis()

    async def set_legacy_genesis(self, genesis: str | None) -> None:
        """Note which chain jobs are for, in a ledger that does not say it."""
        if genesis is not None and await self._chain.genesis() is None:
            await self._chain.set_legacy_genesis(genesis)

    async def export_entries(self) -> AsyncGenerator[BackupEntry]:
        """Give every entry that a backup needs; one that changes meanwhile comes again.

        What an entry refers to is read after it: a lane before its jobs, what was sent with a
        hotkey before the job. So a backup of a ledger in use lacks nothing that it names.
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
        """Return whether it holds no jobs and no trace of any."""
        for prefix in BACKUP_PREFIXES:
            page = await self._store.oldest_first(prefix, after=ABSENT, count=1)
            if page.entries:
                return False
        return True

    async def clear(self) -> None:
        """Remove every entry, and every job from the queue."""
        try:
            for name in (JOB_QUEUE.name, JOB_STORE.name):
                await purge(self._connection, name)
        except JetStreamRequestError as error:
            raise BackupError(f"NATS did not remove the jobs that are there: {error}") from None

    async def import_entries(
        self, entries: Iterable[BackupEntry], *, ended_retention_days: int, on_progress: OnProgress
    ) -> int:
        """Write the entries of a backup into the empty ledger; queue the jobs that go on.

        Args:
            entries: of the backup, one for each key.
            ended_retention_days: how long jobs are kept that have ended, from now on.
            on_progress: called after each batch.

        Returns:
            How many jobs were left out, since they cannot be read.

        Raises:
            BackupError: the ledger was changed meanwhile.
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
                    f"the ledger's entry {error} was written meanwhile: stop every worker, and "
                    "restore again with --replace"
                ) from None
            left_out += done.count(False)
            count += len(batch)
            on_progress(count)
        return left_out

    async def _import_entry(self, entry: BackupEntry, ended_ttl_s: int) -> bool:
        """Write one entry; return whether it could be read."""
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
