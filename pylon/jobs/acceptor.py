"""From a request to a durable job: accepted means written down and queued, and nothing less."""

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
from pylon.jetstream.bucket import ConflictError
from pylon.jobs.acceptance_context import AcceptanceContext, AcceptanceContexts
from pylon.jobs.job_store import JobRecord, JobStore, StoredJob, UnreadableEntryError
from pylon.jobs.signer_directory import SignerDirectory
from pylon_client.contract import wire
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
COMPARE_AND_SET_RETRIES: Final = 100
"""Maximum compare-and-set retries per request: more than workers that accept writes at once."""

_ID_BYTES: Final = 16


class JobQueuePort(Protocol):
    """The work queue."""

    async def publish(self, subject: JobSubject, job_id: JobId) -> bool:
        """Queue a job once, also when repeated; return whether this request queued it."""
        ...


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A write as it was asked for, checked.

    Attributes:
        params: the operation's parameters.
        count: how many items it has.
        idempotency_key: the caller's name for it; the same name is the same job for ever.
        submit_after_response: nothing of it is sent before `release`.
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
        """Where it queues."""
        return JobSubject(self.identity, self.kind, self.mechanism)


class JobAcceptor:
    """Accepts writes.

    Args:
        store: where jobs are written down.
        queue: from where runners take them.
        chain: for which they are.
        signers: by whom they could be carried out.
        require_storage: raises when it is known that nothing can be stored, so that a request is
            refused with the reason instead of after its time.
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
        """A durable job for what is wanted: a new one, or the one that was asked for before.

        With an idempotency key the same key gives the same job, also after it has ended. Without
        one, the same content gives the same job while that is in hand and the newest of its lane,
        weights only within an epoch: who asks again in the next one wants them in that one.
        A crash at any context leaves nothing that was answered undone: what was not queued yet is
        queued by `sweep`, or by whoever asks again.

        Raises:
            FailureError: CONFLICT when the key was used for something else; NATS_UNAVAILABLE when
                it could not be made durable, and so may or may not have been accepted;
                MISCONFIGURED when nothing can sign for the identity; RUNTIME_UNSUPPORTED when the
                chain's runtime cannot take it; CHAIN_UNAVAILABLE when it is not known which chain
                it would be for.
        """
        self._require_storage()
        digest = _digest(wire.encode(_canonical(request.params)))
        context = await self._contexts.get(request.netuid)
        # Writes of one lane would make each other repeat their compare-and-set. Only those of
        # other workers still do. The dictionary keeps a lock while a write holds or awaits it.
        lock = self._locks.setdefault(request.subject, asyncio.Lock())
        async with lock:
            stored, is_new = await self._get_or_create(request, digest, context)
            stored = await self._make_latest(stored, is_new=is_new)
            if not stored.job.has_ended:
                await self._queue.publish(stored.record.subject, stored.job.job_id)
        return stored.job

    async def release(self, job: Job) -> None:
        """Let an accepted job be sent, since its caller is answered now.

        Raises:
            FailureError: CANCELLED when it has ended meanwhile; NATS_UNAVAILABLE when it may have
                been released or not.
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
        """Queue every job in hand of one identity and kind; how many there were.

        For when the queue is known to hold none of them.
        """
        stored = await self._store.open_jobs(identity, kind)
        for one in reversed(stored):
            if await self._queue.publish(one.record.subject, one.job.job_id):
                logger.warning("Job %s of %s was not queued; it is now", one.job.job_id, identity)
        return len(stored)

    async def cancel(self, identity: IdentityName, job_id: JobId) -> Job:
        """Give up a job that was not submitted yet; one that has ended stays as it is.

        Raises:
            FailureError: NOT_FOUND; CONFLICT when an extrinsic of it may be on its way.
        """
        why = FailureError(ErrorCode.CANCELLED, "The job was cancelled.").failure
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
                return (await self._store.change(stored, JobState.CANCELLED, last_error=why)).job
            except ConflictError:
                continue
        raise FailureError(ErrorCode.CONFLICT, f"Job {job_id} is being submitted.")

    async def _get_or_create(
        self, request: WriteRequest, digest: str, context: AcceptanceContext
    ) -> tuple[StoredJob, bool]:
        """The job's entry, and whether it is new."""
        for _ in range(COMPARE_AND_SET_RETRIES):
            entry = await self._store.latest_entry(request.subject)
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
                # All who ask for the same at this place of the lane come to the same id.
                job_id = _derive_job_id(request, "place", digest, str(latest.number))
            stored = await self._store.get(request.identity, job_id)
            if stored is None:
                self._signers.require_signer(request.identity)
                try:
                    new = _new_record(request, context, job_id, digest, latest.number + 1)
                    return await self._store.create(new), True
                except ConflictError:
                    continue  # somebody asks for the same at the same time
            if stored.record.digest != digest:
                raise FailureError(
                    ErrorCode.CONFLICT, "The idempotency key was used for something else."
                )
            if request.idempotency_key is None and not context.can_reuse(
                stored.job, request.netuid
            ):
                # Whoever asked for it was cut off before it took its place, and it was worked on
                # all the same. Now it takes the place, so that the next one is free.
                with contextlib.suppress(ConflictError):
                    await self._store.set_latest(entry, stored.record)
                continue
            return stored, False
        raise FailureError(ErrorCode.OVERLOADED, "Too many writes at once; ask again.")

    async def _make_latest(self, stored: StoredJob, *, is_new: bool) -> StoredJob:
        """The job as the newest of its lane, unless it has ended or was overtaken."""
        for _ in range(COMPARE_AND_SET_RETRIES):
            entry = await self._store.latest_entry(stored.record.subject)
            latest_id = entry.latest.job_id
            if stored.job.has_ended or stored.job.job_id == latest_id:
                return stored
            try:
                if entry.has_newer_than(stored.record):
                    if not is_new:
                        return stored
                    # Another write took the same place at the same time.
                    stored = await self._store.renumber(stored, entry.latest.number + 1)
                await self._store.set_latest(entry, stored.record)
            except ConflictError:
                found = await self._store.get(stored.job.identity, stored.job.job_id)
                if found is None:
                    break
                stored = found
                continue
            if latest_id is not None:
                await self._supersede(latest_id, stored.record)
            return stored
        raise FailureError(ErrorCode.OVERLOADED, "Too many writes at once; ask again.")

    async def _supersede(self, older: JobId, newer: JobRecord) -> None:
        """End a job whose place was taken, unless an extrinsic of it may be on its way.

        Where this is cut short, the runner finds the job overtaken.
        """
        for _ in range(COMPARE_AND_SET_RETRIES):
            stored = await self._get_if_readable(newer.job.identity, older)
            if stored is None or stored.job.state not in NOT_YET_SUBMITTED:
                return
            if stored.record.number > newer.number:
                return  # its own intake has just given it a later place: each would end the other
            try:
                await self._store.change(
                    stored, JobState.SUPERSEDED, superseded_by=newer.job.job_id
                )
            except ConflictError:
                continue
            return

    async def _get_if_readable(self, identity: IdentityName, job_id: JobId) -> StoredJob | None:
        """A job, or None where none can be read: a newer one then takes its place all the same."""
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
    mark = _digest(*(part.encode() for part in (str(request.subject), *parts)))
    return JobId(mark)


def _digest(*parts: bytes) -> str:
    """26 characters of base32, which depend on every part and on where one ends."""
    digest = hashlib.blake2b(digest_size=_ID_BYTES)
    for part in parts:
        digest.update(b"%d:" % len(part) + part)
    return base64.b32encode(digest.digest()).decode().rstrip("=").lower()


def _canonical(request: Mapping[str, Any]) -> dict[str, Any]:
    """The same request with the names of its items in one order."""
    return {
        name: dict(sorted(value.items())) if isinstance(value, dict) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType, reportUnknownVariableType] -- of any names and values
        for name, value in sorted(request.items())
    }
