"""Accept write requests: a job is accepted once it is stored and queued durably."""

import asyncio
import base64
import contextlib
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

from pylon.chain.write_port import ChainWrites
from pylon.jetstream.bucket import COMPARE_AND_SET_RETRIES, ConflictError
from pylon.jobs.acceptance_context import AcceptanceContext, AcceptanceContexts
from pylon.jobs.job_store import JobStore
from pylon.jobs.signer_directory import SignerDirectory
from pylon.jobs.stored_job import JobRecord, StoredJob, UnreadableEntryError
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.types import (
    IdentityName,
    JobId,
    JobKind,
    MechanismId,
    NetUid,
)

logger = logging.getLogger(__name__)

NOT_YET_SUBMITTED: Final = frozenset({JobState.ACCEPTED, JobState.WAITING})

_ID_BYTES: Final = 16
_TOO_MANY_WRITES: Final = "Too many concurrent writes to this job queue; retry."


class JobQueuePort(Protocol):
    """The work queue of jobs."""

    async def publish(self, subject: JobSubject, job_id: JobId) -> bool:
        """Queue a job; return False if a message of the same job is queued already."""
        ...


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A validated request to write to the chain.

    Attributes:
        identity: identity that writes.
        netuid: subnet of the identity.
        kind: kind of job.
        params: parameters of the operation.
        mechanism: mechanism of the subnet; None for kinds without one.
        count: number of items, for example of weights.
        idempotency_key: the caller's key; requests with the same key get the same job.
        submit_after_response: whether submission waits until `JobAcceptor.release`.
    """

    identity: IdentityName
    netuid: NetUid
    kind: JobKind
    params: Mapping[str, Any]
    mechanism: MechanismId | None = None
    count: int = 1
    idempotency_key: str | None = None
    submit_after_response: bool = False

    @property
    def subject(self) -> JobSubject:
        """Return the queue subject of the job."""
        return JobSubject(self.identity, self.kind, self.mechanism)


class JobAcceptor:
    """Accepts write requests as jobs.

    Args:
        store: the job store.
        queue: the queue that job executors consume.
        chain: the chain that the jobs are for.
        signers: the signers that run.
        require_storage: raises if JetStream is known to store nothing, so that a request fails at
            once with the reason instead of by its timeout.
    """

    def __init__(
        self,
        store: JobStore,
        queue: JobQueuePort,
        chain: ChainWrites,
        signers: SignerDirectory,
        *,
        require_storage: Callable[[], None] = lambda: None,
    ) -> None:
        self._require_storage = require_storage
        self._store = store
        self._signers = signers
        self._queue = queue
        self._contexts = AcceptanceContexts(chain, store)
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
        digest = _digest(json_codec.encode(_canonical(request.params)))
        context = await self._contexts.get(request.netuid)
        # Without the lock, concurrent writes to one queue would cause compare-and-set conflicts for
        # each other; now only writes of other workers do. The dictionary keeps a lock while a write
        # holds or awaits it.
        lock = self._locks.setdefault(request.subject, asyncio.Lock())
        async with lock:
            stored, is_new = await self._get_or_create(request, digest, context)
            stored = await self._make_latest(stored, is_new=is_new)
            if not stored.job.has_ended:
                await self._queue.publish(stored.record.subject, stored.job.job_id)
        return stored.job

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

    async def _get_or_create(
        self, request: WriteRequest, digest: str, context: AcceptanceContext
    ) -> tuple[StoredJob, bool]:
        """Return the stored job of a request, and whether it is new."""
        for _ in range(COMPARE_AND_SET_RETRIES):
            entry = await self._store.latest.entry(request.subject)
            latest = entry.latest
            if request.idempotency_key is not None:
                job_id = _derive_job_id(request, "key", request.idempotency_key)
            else:
                if latest.job_id is not None:
                    stored = await self._get_if_readable(request.identity, latest.job_id)
                    if (
                        stored
                        and stored.record.digest == digest
                        and context.can_reuse(stored.job, request.netuid)
                    ):
                        return stored, False
                # Concurrent requests with the same content derive the same id from the latest job.
                # "place" is a part of stored ids and must not change.
                job_id = _derive_job_id(request, "place", digest, str(latest.number))
            stored = await self._store.get(request.identity, job_id)
            if stored is None:
                self._signers.require_signer(request.identity)
                try:
                    new = _new_record(request, context, job_id, digest, latest.number + 1)
                    return await self._store.create(new), True
                except ConflictError:
                    continue  # a concurrent request with the same content created it
            if stored.record.digest != digest:
                raise FailureError(
                    ErrorCode.CONFLICT, "The idempotency key was used for another request."
                )
            if request.idempotency_key is None and not context.can_reuse(
                stored.job, request.netuid
            ):
                # The request that created it was interrupted before it became the latest, and the
                # job was executed nevertheless. Make it the latest, so that the next id is unused.
                with contextlib.suppress(ConflictError):
                    await self._store.latest.set(entry, stored.record)
                continue
            return stored, False
        raise FailureError(ErrorCode.OVERLOADED, _TOO_MANY_WRITES)

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
                await self._supersede(latest_id, stored.record)
            return stored
        raise FailureError(ErrorCode.OVERLOADED, _TOO_MANY_WRITES)

    async def _supersede(self, older: JobId, newer: JobRecord) -> None:
        """End an older job as superseded, unless an extrinsic of it may be in flight.

        If this is interrupted, the executor finds that the job is superseded.
        """
        for _ in range(COMPARE_AND_SET_RETRIES):
            stored = await self._get_if_readable(newer.job.identity, older)
            if stored is None or stored.job.state not in NOT_YET_SUBMITTED:
                return
            if stored.record.number > newer.number:
                return  # a concurrent request renumbered it: each job would supersede the other
            try:
                await self._store.change(
                    stored, JobState.SUPERSEDED, superseded_by=newer.job.job_id
                )
            except ConflictError:
                continue
            return

    async def _get_if_readable(self, identity: IdentityName, job_id: JobId) -> StoredJob | None:
        """Return a job, or None if it cannot be read; a newer job supersedes it nevertheless."""
        with contextlib.suppress(UnreadableEntryError):
            return await self._store.get(identity, job_id)
        return None


def _new_record(
    request: WriteRequest, context: AcceptanceContext, job_id: JobId, digest: str, number: int
) -> JobRecord:
    job = Job(
        job_id=job_id,
        identity=request.identity,
        netuid=request.netuid,
        kind=request.kind,
        mechanism=request.mechanism,
        created_at_ms=context.accepted_at_ms,
        updated_at_ms=context.accepted_at_ms,
        count=request.count,
        genesis=context.genesis,
        **context.deadline_fields(request.kind),
    )
    return JobRecord(
        job=job,
        number=number,
        digest=digest,
        request=dict(request.params),
        unanswered=request.submit_after_response,
    )


def _derive_job_id(request: WriteRequest, *parts: str) -> JobId:
    digest = _digest(*(part.encode() for part in (str(request.subject), *parts)))
    return JobId(digest)


def _digest(*parts: bytes) -> str:
    """Return 26 characters of base32 that depend on every part and on the part boundaries."""
    digest = hashlib.blake2b(digest_size=_ID_BYTES)
    for part in parts:
        digest.update(b"%d:" % len(part) + part)
    return base64.b32encode(digest.digest()).decode().rstrip("=").lower()


def _canonical(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the parameters with sorted keys."""
    return {
        name: dict(sorted(value.items())) if isinstance(value, dict) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType, reportUnknownVariableType] -- of any names and values
        for name, value in sorted(params.items())
    }
