"""Execute jobs: one step per delivery from the queue; the worker may crash after any step.

This order keeps a write from being lost or submitted twice:

1. Plan the write by the chain state. To submit it, acquire the hotkey's lease and check that no
   other extrinsic of the hotkey is in flight.
2. Sign. Store the extrinsic's hash, nonce and era in the job (SUBMITTING), then in the hotkey's
   in-flight marker. Both use compare-and-set, so an expired holder of the lease stops here.
3. Submit.
4. Search the final blocks of the extrinsic's era. If it is included, the block decides the outcome.
   If it is not, it can never be included, and only then the write is signed again.

A worker that receives a job in flight starts at step 4. `pylon.jobs.submitter` has steps 2 and 3,
`pylon.jobs.confirmation` step 4.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from pylon.chain.write_port import ChainWrites, RefusedError
from pylon.common.signer import Signer
from pylon.jetstream.bucket import ConflictError
from pylon.jetstream.consumer import Ack, Acknowledgement, Nak
from pylon.jetstream.lease import Lease, LeaseLostError, LeaseTakenError
from pylon.jobs.confirmation import ConfirmationTracker
from pylon.jobs.job_endings import finish_if_unsupported, finish_restored, finish_wrong_chain
from pylon.jobs.job_planner import Defer, Finish, JobPlanner, Submit
from pylon.jobs.job_store import JobStore
from pylon.jobs.stored_job import StoredJob, UnreadableEntryError
from pylon.jobs.submitter import HOTKEY_BUSY_RETRY_S, JobSubmitter, LockedHotkey
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import IN_FLIGHT, JobState
from pylon_client.contract.types import Hotkey, IdentityName, JobId, JobKind
from pylon_client.log_limit import LogLimit

logger = logging.getLogger(__name__)

RESPONSE_PENDING_RETRY_S: Final = 0.5
"""Delay, in seconds, of a job whose caller has not received its response yet."""
MAX_RESPONSE_PENDING_S: Final = 330.0
"""Seconds after which a caller cannot be waiting any more: longer than the maximum deadline.

Counted from the first delivery of the job to this worker, by this worker's clock."""
CONFLICT_RETRY_S: Final = 0.1
"""Delay, in seconds, after a compare-and-set conflict."""
NO_SIGNER_RETRY_S: Final = 15.0
"""Delay, in seconds, of a job whose hotkey this worker cannot sign with."""


class LeasePort(Protocol):
    """Leases by name; see `pylon.jetstream.lease`."""

    def hold(self, name: str) -> AbstractAsyncContextManager[Lease]:
        """Hold a lease while the body runs."""
        ...


class JobExecutor:
    """Executes jobs.

    Args:
        store: the job store.
        leases: leases of hotkeys, by address.
        chain: the chain to write to.
        signers: the hotkeys that this worker can sign with, by identity.
        planners: planners by kind of job.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        store: JobStore,
        leases: LeasePort,
        chain: ChainWrites,
        signers: Mapping[IdentityName, Signer],
        planners: Mapping[JobKind, JobPlanner],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._leases = leases
        self._chain = chain
        self._signers = signers
        self._planners = planners
        self._confirmation = ConfirmationTracker(store, chain, planners, sleep=sleep)
        self._submitter = JobSubmitter(store, chain, self._confirmation)
        self._consecutive_failures = 0  # of the chain or of NATS
        self._response_pending_since: dict[JobId, float] = {}
        self._log_limit = LogLimit()

    async def execute(self, identity: IdentityName, job_id: JobId) -> Acknowledgement:
        """Execute the next steps of a job; return how to acknowledge its message."""
        stored = await self._load(identity, job_id)
        if not isinstance(stored, StoredJob):
            return stored
        if stored.job.has_ended:
            self._response_pending_since.pop(job_id, None)
            await self._store.remove_marker(stored.job)
            return Ack()
        try:
            if stored.record.unanswered:
                acknowledgement = await self._defer_until_response(stored)
            else:
                self._response_pending_since.pop(job_id, None)
                acknowledgement = await self._execute_step(stored)
        except ConflictError:
            return Nak(CONFLICT_RETRY_S)  # it was changed concurrently
        except (LeaseTakenError, LeaseLostError):
            return Nak(HOTKEY_BUSY_RETRY_S)
        except FailureError as error:
            self._log_deferral(identity, job_id, error)
            self._consecutive_failures += 1
            return Nak(
                self._planners[stored.job.kind].retry_policy.outage_delay_s(
                    self._consecutive_failures
                )
            )
        self._consecutive_failures = 0
        return acknowledgement

    def _log_deferral(self, identity: IdentityName, job_id: JobId, error: FailureError) -> None:
        if self._log_limit.is_due(job_id, error.code):
            logger.warning("Deferred job %s of %s: %s", job_id, identity, error.failure.detail)

    async def _load(self, identity: IdentityName, job_id: JobId) -> StoredJob | Acknowledgement:
        """Return the job of a message, or how to acknowledge a message without a readable job."""
        try:
            stored = await self._store.get(identity, job_id)
        except UnreadableEntryError as error:
            # A worker that can read the job finds that it is not queued, and queues it again.
            logger.warning(
                "Skipped unreadable job %s of %s: %s", job_id, identity, error.failure.detail
            )
            return Ack()
        except FailureError as error:
            self._log_deferral(identity, job_id, error)
            return Nak(HOTKEY_BUSY_RETRY_S)
        if stored is None:
            logger.warning(
                "Dropped message of job %s of %s: it is not in the job store", job_id, identity
            )
            return Ack()
        return stored

    async def _execute_step(self, stored: StoredJob) -> Acknowledgement:
        job = stored.job
        signer = self._signers.get(job.identity)
        if signer is None:
            return Nak(NO_SIGNER_RETRY_S)
        hotkey = Hotkey(signer.ss58_address)
        if job.genesis not in {None, await self._chain.genesis()}:
            return await finish_wrong_chain(self._store, stored)
        if job.state is JobState.COMMITTED:
            return await self._confirmation.check_reveal(stored, hotkey)
        if job.state not in IN_FLIGHT:
            is_restored = stored.record.restored
            return await (
                finish_restored(self._store, stored)
                if is_restored
                else self._plan_and_submit(stored, hotkey, signer)
            )
        async with self._leases.hold(hotkey):
            return await self._confirm(stored, hotkey)

    async def _defer_until_response(self, stored: StoredJob) -> Acknowledgement:
        """Defer a job until its caller is answered; cancel it after `MAX_RESPONSE_PENDING_S`."""
        seen_at_s = self._response_pending_since.setdefault(stored.job.job_id, time.monotonic())
        if time.monotonic() - seen_at_s < MAX_RESPONSE_PENDING_S:
            return Nak(RESPONSE_PENDING_RETRY_S)
        failure = FailureError(
            ErrorCode.CANCELLED, "The caller stopped waiting before the response was sent."
        ).failure
        await self._store.change(stored, JobState.CANCELLED, last_error=failure)
        self._response_pending_since.pop(stored.job.job_id, None)
        return Ack()

    async def confirm_abandoned(self, stored: StoredJob) -> None:
        """Confirm the extrinsic of a job that no signer executes any more.

        Its outcome is known after its era, and that of a timelocked commitment after its reveal.
        Before that, nothing is done.

        Raises:
            ConflictError: a signer executes the job after all.
            FailureError: the chain did not answer.
        """
        job = stored.job
        if job.extrinsic is None or job.hotkey is None:
            return
        if job.genesis not in {None, await self._chain.genesis()}:
            await finish_wrong_chain(self._store, stored)
        elif job.state is JobState.COMMITTED:
            await self._confirmation.check_reveal(stored, job.hotkey)
        elif (await self._chain.tip()).finalized >= job.extrinsic.last_valid_block:
            await self._confirm(stored, job.hotkey)

    async def _confirm(self, stored: StoredJob, hotkey: Hotkey) -> Acknowledgement:
        if stored.job.state is JobState.SUBMITTING:
            failure = FailureError(
                ErrorCode.OUTCOME_UNKNOWN, "The worker that submitted it no longer runs."
            ).failure
            stored = await self._store.change(stored, JobState.UNKNOWN, last_error=failure)
        return await self._confirmation.confirm(stored, hotkey)

    async def _plan_and_submit(
        self, stored: StoredJob, hotkey: Hotkey, signer: Signer
    ) -> Acknowledgement:
        if await self._confirmation.finish_if_superseded(stored):
            return Ack()
        try:
            plan = await self._planners[stored.job.kind].plan(
                stored.job, stored.record.request, hotkey
            )
        except RefusedError as error:
            attempts = stored.job.attempts + 1
            return await self._confirmation.handle_refusal(
                stored, error.refusal, hotkey, attempts=attempts
            )
        except FailureError as error:
            return await finish_if_unsupported(self._store, stored, error, {})
        match plan:
            case Defer():
                return await self._confirmation.defer(stored, plan)
            case Finish(state, failure, updates):
                await self._store.change(stored, state, **updates, **_last_error(failure))
                return Ack()
            case Submit():
                return await self._lock_and_submit(stored, plan, hotkey, signer)

    async def _lock_and_submit(
        self, stored: StoredJob, plan: Submit, hotkey: Hotkey, signer: Signer
    ) -> Acknowledgement:
        if self._planners[stored.job.kind].retry_policy.is_exhausted(stored.job.attempts):
            await self._store.change(stored, JobState.FAILED, **plan.updates)
            return Ack()
        async with self._leases.hold(hotkey) as lease:
            return await self._submitter.submit(stored, plan, LockedHotkey(hotkey, signer, lease))


def _last_error(failure: Failure | None) -> dict[str, Failure]:
    return {} if failure is None else {"last_error": failure}
