"""Accept write requests: a job is accepted once it is stored and queued durably."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol
from weakref import WeakValueDictionary

from pylon.chain.write_port import ChainWrites
from pylon.common.tasks import finish_all
from pylon.jetstream.bucket import COMPARE_AND_SET_RETRIES, ConflictError
from pylon.jobs.acceptance_context import AcceptanceContext, AcceptanceContexts
from pylon.jobs.job_store import JobStore
from pylon.jobs.latest_jobs import LatestJob, LatestJobEntry
from pylon.jobs.signer_directory import SignerDirectory
from pylon.jobs.stored_job import JobRecord, StoredJob, UnreadableEntryError
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.types import BlockNumber, IdentityName, JobId, JobKind

logger = logging.getLogger(__name__)

NOT_YET_SUBMITTED: Final = frozenset({JobState.ACCEPTED, JobState.WAITING})

_TOO_MANY_WRITES: Final = "Too many concurrent writes to this job queue; retry."


class JobQueuePort(Protocol):
    """The work queue of jobs."""

    async def publish(self, subject: JobSubject, job_id: JobId) -> bool:
        """Queue a job; return False if a message of the same job is queued already."""
        ...


@dataclass(frozen=True, slots=True)
class _NewJob:
    """A job that is stored, and not yet the latest of its queue.

    Attributes:
        stored: the job.
        entry: the latest job of the queue before.
        older: that job; None without one.
    """

    stored: StoredJob
    entry: LatestJobEntry
    older: StoredJob | None


class JobAcceptor:
    """Accepts write requests as jobs.

    Args:
        store: the job store.
        queue: the queue that job executors consume.
        chain: the chain that the jobs are for.
        signers: the signers that run.
        require_storage: raises if JetStream is known to store nothing, so that a request fails at
            once with the reason instead of by its timeout.
        newest_head: returns the newest head that this worker has observed; see
            `AcceptanceContexts`.
    """

    def __init__(
        self,
        store: JobStore,
        queue: JobQueuePort,
        chain: ChainWrites,
        signers: SignerDirectory,
        *,
        require_storage: Callable[[], None] = lambda: None,
        newest_head: Callable[[], BlockNumber | None] = lambda: None,
    ) -> None:
        self._require_storage = require_storage
        self._store = store
        self._signers = signers
        self._queue = queue
        self._contexts = AcceptanceContexts(chain, store, newest_head)
        self._locks: WeakValueDictionary[JobSubject, asyncio.Lock] = WeakValueDictionary()

    async def accept(self, request: WriteRequest) -> Job:
        """Return the durable job of a request: a new one, or that of an identical earlier request.

        With an idempotency key, the same key returns the same job, even after the job has ended.
        Without one, the same content returns the same job while that job is in progress and the
        latest of its queue. Weights are also bound to an epoch: the same weights in the next epoch
        are a new job.

        After a crash at any point, an accepted job is carried out nevertheless: a job that is
        stored but not queued is queued by `requeue_open_jobs` or by a repeated request.

        Raises:
            FailureError: CONFLICT if the key belongs to another request; NATS_UNAVAILABLE if it is
                unknown whether the job was stored; MISCONFIGURED if no signer can sign for the
                identity; RUNTIME_UNSUPPORTED if the chain's runtime does not accept such a write;
                CHAIN_UNAVAILABLE if the genesis of the chain is unknown; OVERLOADED after
                `COMPARE_AND_SET_RETRIES` conflicts.
        """
        self._require_storage()
        context = await self._contexts.get(request.netuid)
        # Without the lock, concurrent writes to one queue would cause compare-and-set conflicts for
        # each other; now only writes of other workers do. The dictionary keeps a lock while a write
        # holds or awaits it.
        lock = self._locks.setdefault(request.subject, asyncio.Lock())
        async with lock:
            return (await self._accept(request, context)).job

    async def release(self, job: Job) -> None:
        """Allow the submission of a job that was accepted with `submit_after_response`.

        Raises:
            FailureError: CANCELLED if the job has ended; NATS_UNAVAILABLE if it is unknown whether
                the job was released.
        """
        for _ in range(COMPARE_AND_SET_RETRIES):
            stored = await self._store.get(job.identity, job.job_id)
            if stored is None or stored.job.has_ended:
                break
            try:
                await self._store.release(stored)
            except ConflictError:
                continue
            return
        raise FailureError(ErrorCode.CANCELLED, f"Job {job.job_id} has ended meanwhile.")

    async def requeue_open_jobs(self, identity: IdentityName, kind: JobKind) -> int:
        """Queue every open job of an identity and kind; return the number of these jobs.

        Called when the queue holds no message of them, for example after it was created again.
        """
        stored = await self._store.open_jobs(identity, kind)
        for stored_job in reversed(stored):
            if await self._queue.publish(stored_job.record.subject, stored_job.job.job_id):
                logger.warning(
                    "Requeued job %s of %s: it was missing in the queue",
                    stored_job.job.job_id,
                    identity,
                )
        return len(stored)

    async def cancel(self, identity: IdentityName, job_id: JobId) -> Job:
        """Cancel a job that is not submitted yet; return a job that has ended unchanged.

        Raises:
            FailureError: NOT_FOUND; CONFLICT if an extrinsic of the job may be in flight.
        """
        failure = FailureError(ErrorCode.CANCELLED, "The job was cancelled.").failure
        for _ in range(COMPARE_AND_SET_RETRIES):
            stored = await self._store.get(identity, job_id)
            if stored is None:
                raise FailureError(ErrorCode.NOT_FOUND, f"Job {job_id} not found.")
            if stored.job.has_ended:
                return stored.job
            if stored.job.state not in NOT_YET_SUBMITTED:
                break
            self._require_storage()
            try:
                return (
                    await self._store.change(stored, JobState.CANCELLED, last_error=failure)
                ).job
            except ConflictError:
                continue
        raise FailureError(ErrorCode.CONFLICT, f"Job {job_id} is being submitted.")

    async def _accept(self, request: WriteRequest, context: AcceptanceContext) -> StoredJob:
        """Return the job of a request, stored as the latest of its queue, and queued.

        A new job takes four consecutive waits for JetStream: the latest job and the job of the key;
        the marker and the older job; the new job; its place, its message and the end of the older
        job.
        """
        found = await self._get_or_create(request, context)
        if isinstance(found, StoredJob):
            stored = await self._make_latest(found, is_new=False)
            if not stored.job.has_ended:
                await self._queue.publish(stored.record.subject, stored.job.job_id)
            return stored
        # A crash between these three leaves a stored job with a marker, which is queued again, and
        # an older job that the executor ends.
        record = found.stored.record
        is_latest, *_ = await finish_all(
            self._try_set_latest(found.entry, record),
            self._queue.publish(record.subject, record.job.job_id),
            self._supersede(found.older, record),
        )
        if is_latest:
            return found.stored
        return await self._make_latest(found.stored, is_new=True)

    async def _get_or_create(
        self, request: WriteRequest, context: AcceptanceContext
    ) -> StoredJob | _NewJob:
        """Return the stored job of a request: an existing or a new one."""
        key = request.idempotency_key
        for _ in range(COMPARE_AND_SET_RETRIES):
            if key is None:
                entry = await self._store.latest.entry(request.subject)
                older = await self._get_latest_like(request, entry.latest)
                if older is not None and context.can_reuse(older.job, request.netuid):
                    return older
                job_id, stored = request.job_id_after(entry.latest.number), None
            else:
                older, job_id = None, request.job_id_by_key(key)
                entry, stored = await finish_all(
                    self._store.latest.entry(request.subject),
                    self._store.get(request.identity, job_id),
                )
            if stored is None:
                self._signers.require_signer(request.identity)
                record = request.record(context, job_id, entry.latest.number + 1)
                try:
                    return await self._create(record, entry, older)
                except ConflictError:
                    # A concurrent or an interrupted request with the same content created it.
                    stored = await self._store.get(request.identity, job_id)
                    if stored is None:
                        continue
            if stored.record.digest != request.digest:
                raise FailureError(
                    ErrorCode.CONFLICT, "The idempotency key was used for another request."
                )
            if key is None and not context.can_reuse(stored.job, request.netuid):
                # The request that created it was interrupted before it became the latest, and the
                # job was executed nevertheless. Make it the latest, so that the next id is unused.
                with contextlib.suppress(ConflictError):
                    await self._store.latest.set(entry, stored.record)
                continue
            return stored
        raise FailureError(ErrorCode.OVERLOADED, _TOO_MANY_WRITES)

    async def _get_latest_like(self, request: WriteRequest, latest: LatestJob) -> StoredJob | None:
        """Return the latest job of a queue if it has the content of a request."""
        if latest.job_id is None or latest.digest not in {None, request.digest}:
            return None
        stored = await self._get_if_readable(request.identity, latest.job_id)
        return stored if stored and stored.record.digest == request.digest else None

    async def _create(
        self, record: JobRecord, entry: LatestJobEntry, older: StoredJob | None
    ) -> _NewJob:
        """Store a new job, and read the one that it supersedes meanwhile.

        Raises:
            ConflictError: the job exists.
        """
        latest_id = entry.latest.job_id
        if older is not None or latest_id is None:
            return _NewJob(await self._store.create(record), entry, older)
        stored, older = await finish_all(
            self._store.create(record), self._get_if_readable(record.job.identity, latest_id)
        )
        return _NewJob(stored, entry, older)

    async def _try_set_latest(self, entry: LatestJobEntry, record: JobRecord) -> bool:
        """Make a new job the latest of its queue; return False after a concurrent write."""
        try:
            await self._store.latest.set(entry, record)
        except ConflictError:
            return False
        return True

    async def _make_latest(self, stored: StoredJob, *, is_new: bool) -> StoredJob:
        """Make a job the latest of its queue, unless it has ended or is superseded; return it."""
        for _ in range(COMPARE_AND_SET_RETRIES):
            entry = await self._store.latest.entry(stored.record.subject)
            latest_id = entry.latest.job_id
            if stored.job.has_ended or stored.job.job_id == latest_id:
                return stored
            try:
                if entry.has_newer_than(stored.record):
                    if not is_new:
                        return stored
                    # A concurrent write has taken the same number.
                    stored = await self._store.renumber(stored, entry.latest.number + 1)
                await self._store.latest.set(entry, stored.record)
            except ConflictError:
                reread = await self._store.get(stored.job.identity, stored.job.job_id)
                if reread is None:
                    break
                stored = reread
                continue
            if latest_id is not None:
                older = await self._get_if_readable(stored.job.identity, latest_id)
                await self._supersede(older, stored.record)
            return stored
        raise FailureError(ErrorCode.OVERLOADED, _TOO_MANY_WRITES)

    async def _supersede(self, older: StoredJob | None, newer: JobRecord) -> None:
        """End an older job as superseded, unless an extrinsic of it may be in flight.

        If this is interrupted, the executor finds that the job is superseded.
        """
        for _ in range(COMPARE_AND_SET_RETRIES):
            if older is None or older.job.state not in NOT_YET_SUBMITTED:
                return
            if older.record.number > newer.number:
                return  # a concurrent request renumbered it: each job would supersede the other
            try:
                await self._store.supersede(older, newer.job.job_id)
            except ConflictError:
                older = await self._get_if_readable(newer.job.identity, older.job.job_id)
            else:
                return

    async def _get_if_readable(self, identity: IdentityName, job_id: JobId) -> StoredJob | None:
        """Return a job, or None if it cannot be read; a newer job supersedes it nevertheless."""
        with contextlib.suppress(UnreadableEntryError):
            return await self._store.get(identity, job_id)
        return None
