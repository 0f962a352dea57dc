"""Bringing a job to its end: one step per delivery, each of which may be the last before a crash.

The order of things is what keeps a write from being lost or doubled:

1. See by the chain what is to be done. To send it, hold the hotkey's lease, and see that nothing
   sent with it is still on its way.
2. Sign. Write the extrinsic's hash, nonce and era into the job (SUBMITTING), then into the
   hotkey's slot; both by compare and set, so that a late holder of the lease stops here.
3. Send.
4. Look for the extrinsic in the final blocks of its era. Found: what the block says counts.
   Era over and not found: it is nowhere and never will be, and only then is it signed anew.

Whoever finds a job in flight starts at 4.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from pylon.chain.write_port import ChainWrites, RefusedError, Signed, Signer
from pylon.jetstream.bucket import ConflictError
from pylon.jetstream.consumer import Done, Later, Verdict
from pylon.jetstream.lease import Lease, LeaseLostError, LeaseTakenError
from pylon.jobs.confirmation import Settlement
from pylon.jobs.job_planner import Over, Ready, Updates, Wait, Work, has_news
from pylon.jobs.job_store import Held, Ledger, Sent, Slot, UnreadableEntryError
from pylon.jobs.restored_jobs import not_sent_again
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import IN_FLIGHT, JobState
from pylon_client.contract.types import BlockNumber, Hotkey, IdentityName, JobId, JobKind
from pylon_client.log_limit import LogLimit

logger = logging.getLogger(__name__)

UNANSWERED_WAIT_S: Final = 0.5
"""Seconds until a job whose caller was not answered yet is looked at again."""
UNANSWERED_MAX_S: Final = 330.0
"""Seconds after which its caller cannot be waiting any more: more than the longest deadline.

They are counted from when this worker has first seen the job, by its own clock alone."""
BUSY_WAIT_S: Final = 1.0
"""When to come again where another job is being sent with the same hotkey."""
CONFLICT_WAIT_S: Final = 0.1
NO_SIGNER_WAIT_S: Final = 15.0


class LeasePort(Protocol):
    """Leases; see `pylon.jetstream.lease`."""

    def hold(self, name: str) -> AbstractAsyncContextManager[Lease]:
        """Hold a lease while the body runs."""
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    """A hotkey that nobody else may send with."""

    own: Hotkey
    signer: Signer
    lease: Lease


class Runner:
    """Works on jobs.

    Args:
        ledger: where they are written down.
        leases: one per hotkey.
        chain: where they are written.
        signers: the hotkeys that are at hand, by identity.
        works: what jobs do, by kind.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        leases: LeasePort,
        chain: ChainWrites,
        signers: Mapping[IdentityName, Signer],
        works: Mapping[JobKind, Work],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ledger = ledger
        self._leases = leases
        self._chain = chain
        self._signers = signers
        self._works = works
        self._settlement = Settlement(ledger, chain, works, sleep=sleep)
        self._failures = 0  # of the chain or of NATS, on end
        self._unanswered: dict[JobId, float] = {}
        self._log_limit = LogLimit()

    async def work(self, identity: IdentityName, job_id: JobId) -> Verdict:
        """Bring a job as far as it will go now; whether it comes again, and when."""
        held = await self._named(identity, job_id)
        if not isinstance(held, Held):
            return held
        try:
            if held.record.unanswered:
                verdict = await self._await_answer(held)
            else:
                self._unanswered.pop(job_id, None)
                verdict = await self._step(held)
        except ConflictError:
            return Later(CONFLICT_WAIT_S)  # it was changed meanwhile: look at it anew
        except (LeaseTakenError, LeaseLostError):
            return Later(BUSY_WAIT_S)
        except FailureError as error:
            self._log_wait(identity, job_id, error)
            self._failures += 1
            return Later(self._works[held.job.kind].retries.outage_pause_s(self._failures))
        self._failures = 0
        return verdict

    def _log_wait(self, identity: IdentityName, job_id: JobId, error: FailureError) -> None:
        if self._log_limit.is_due(job_id, error.code):
            logger.warning("Job %s of %s waits: %s", job_id, identity, error.failure.detail)

    async def _named(self, identity: IdentityName, job_id: JobId) -> Held | Verdict:
        """The job that a message names, or what becomes of the message where there is none."""
        try:
            held = await self._ledger.get(identity, job_id)
        except UnreadableEntryError as error:
            # A worker that can read it finds that it is not queued, and queues it again.
            logger.warning("Job %s of %s is left alone: %s", job_id, identity, error.failure.detail)
            return Done()
        except FailureError as error:
            self._log_wait(identity, job_id, error)
            return Later(BUSY_WAIT_S)
        if held is None:
            logger.warning("Job %s of %s is queued but not in the ledger", job_id, identity)
            return Done()
        return held

    async def _step(self, held: Held) -> Verdict:
        job = held.job
        if job.has_ended:
            return Done()
        signer = self._signers.get(job.identity)
        if signer is None:
            return Later(NO_SIGNER_WAIT_S)
        own = Hotkey(signer.ss58_address)
        if job.genesis not in {None, await self._chain.genesis()}:
            return await self._of_another_chain(held)
        if job.state is JobState.COMMITTED:
            return await self._settlement.follow(held, own)
        if job.state not in IN_FLIGHT:
            is_restored = held.record.restored
            return await (
                self._of_backup(held) if is_restored else self._carry_out(held, own, signer)
            )
        async with self._leases.hold(own):
            return await self._settle(held, own)

    async def _await_answer(self, held: Held) -> Verdict:
        """Put a job off until its caller is answered; cancel it when that takes too long."""
        if held.job.has_ended:
            return Done()
        seen_at_s = self._unanswered.setdefault(held.job.job_id, time.monotonic())
        if time.monotonic() - seen_at_s < UNANSWERED_MAX_S:
            return Later(UNANSWERED_WAIT_S)
        why = FailureError(
            ErrorCode.CANCELLED, "Its caller had stopped waiting before it was answered."
        ).failure
        await self._ledger.change(held, JobState.CANCELLED, last_error=why)
        self._unanswered.pop(held.job.job_id, None)
        return Done()

    async def settle_abandoned(self, held: Held) -> None:
        """Find out what became of what was sent for a job that no signer works on any more.

        It is known once its era is over, and of a sealed commitment once it was opened; until then,
        nothing is done.

        Raises:
            ConflictError: a signer works on it after all.
            FailureError: the chain did not answer.
        """
        job = held.job
        if job.extrinsic is None or job.hotkey is None:
            return
        if job.genesis not in {None, await self._chain.genesis()}:
            await self._of_another_chain(held)
        elif job.state is JobState.COMMITTED:
            await self._settlement.follow(held, job.hotkey)
        elif (await self._chain.heads()).final >= job.extrinsic.last_valid_block:
            await self._settle(held, job.hotkey)

    async def _settle(self, held: Held, own: Hotkey) -> Verdict:
        if held.job.state is JobState.SUBMITTING:
            why = FailureError(
                ErrorCode.OUTCOME_UNKNOWN, "The worker that sent it is gone."
            ).failure
            held = await self._ledger.change(held, JobState.UNKNOWN, last_error=why)
        return await self._settlement.settle(held, own)

    async def _of_another_chain(self, held: Held) -> Verdict:
        """End a job of a chain that this worker is not connected to."""
        failure = FailureError(
            ErrorCode.WRONG_CHAIN,
            f"The job is for the chain whose genesis is {held.job.genesis}, to which this worker "
            "is not connected.",
        ).failure
        was_sent = held.job.state in IN_FLIGHT or held.job.has_succeeded
        state = JobState.FAILED if was_sent else JobState.REJECTED
        await self._ledger.change(held, state, last_error=failure)
        return Done()

    async def _of_backup(self, held: Held) -> Verdict:
        """End a restored job whose extrinsic is not on the chain; another may have been sent."""
        await self._ledger.change(held, JobState.FAILED, last_error=not_sent_again(held.job))
        return Done()

    async def _carry_out(self, held: Held, own: Hotkey, signer: Signer) -> Verdict:
        if await self._settlement.give_way(held):
            return Done()
        try:
            plan = await self._works[held.job.kind].plan(held.job, held.record.request, own)
        except RefusedError as error:
            attempts = held.job.attempts + 1
            return await self._settlement.refused(held, error.refusal, own, attempts=attempts)
        except FailureError as error:
            return await self._unsupported(held, error, {})
        match plan:
            case Wait():
                return await self._settlement.wait(held, plan)
            case Over(state, failure, updates):
                await self._ledger.change(held, state, **updates, **_error(failure))
                return Done()
            case Ready():
                return await self._ready(held, plan, own, signer)

    async def _ready(self, held: Held, plan: Ready, own: Hotkey, signer: Signer) -> Verdict:
        if self._works[held.job.kind].retries.are_used_up(held.job.attempts):
            await self._ledger.change(held, JobState.FAILED, **plan.updates)
            return Done()
        async with self._leases.hold(own) as lease:
            return await self._send(held, plan, _Held(own, signer, lease))

    async def _send(self, held: Held, plan: Ready, key: _Held) -> Verdict:
        slot = await self._ledger.slot(key.own)
        if await self._is_occupied(slot):
            return Later(BUSY_WAIT_S)
        try:
            signed = await self._chain.sign(plan.call, key.signer)
        except FailureError as error:
            return await self._unsupported(held, error, plan.updates)
        if held.job.genesis not in {None, signed.genesis}:
            return await self._of_another_chain(held)
        held = await self._write_ahead(held, key, signed, plan.updates, slot)
        return await self._submit(held, key.own, signed)

    async def _unsupported(self, held: Held, error: FailureError, updates: Updates) -> Verdict:
        """End a job that the chain's runtime cannot take; of any other failure, raise it again.

        What is known of the job's term is kept: it may go on failing until that is over.
        """
        if error.code is ErrorCode.RUNTIME_UNSUPPORTED:
            await self._ledger.change(held, JobState.REJECTED, **updates, last_error=error.failure)
            return Done()
        if has_news(held.job, updates):
            await self._ledger.change(held, **updates)
        raise error

    async def _write_ahead(
        self,
        held: Held,
        key: _Held,
        signed: Signed,
        updates: Updates,
        slot: Slot,
    ) -> Held:
        held = await self._ledger.change(
            held,
            JobState.SUBMITTING,
            **updates,
            attempts=held.job.attempts + 1,
            genesis=signed.genesis,
            extrinsic=signed.record,
            hotkey=key.own,
            submitted_block=signed.block,
            reveal_round=signed.reveal_round,
            included_block=None,
            retry_at_block=None,
            fence=key.lease.fence,
        )
        sent = Sent(
            identity=held.job.identity,
            job_id=held.job.job_id,
            extrinsic=signed.record,
            genesis=signed.genesis,
        )
        try:
            await self._ledger.occupy(slot, key.own, sent)
        except (ConflictError, FailureError):
            # Another worker has sent meanwhile, or NATS did not answer: this was not sent.
            await self._ledger.change(held, JobState.WAITING, extrinsic=None)
            raise
        return held

    async def _submit(self, held: Held, own: Hotkey, signed: Signed) -> Verdict:
        try:
            await self._chain.submit(signed)
        except RefusedError as error:
            return await self._settlement.refused(held, error.refusal, own)
        except FailureError as error:
            held = await self._ledger.change(
                held,
                JobState.UNKNOWN,
                last_error=FailureError(
                    ErrorCode.OUTCOME_UNKNOWN,
                    f"The reply to the submission was lost. {error.failure.detail}",
                ).failure,
            )
        return await self._settlement.settle(held, own)

    async def _is_occupied(self, slot: Slot) -> bool:
        """Whether something that was sent with the hotkey may still be included."""
        if slot.sent is None or not await self._ledger.is_in_flight(slot.sent):
            return False
        if slot.sent.genesis not in {None, await self._chain.genesis()}:
            return False
        last_valid: BlockNumber = slot.sent.extrinsic.last_valid_block
        return (await self._chain.heads()).final < last_valid


def _error(failure: Failure | None) -> dict[str, Failure]:
    return {} if failure is None else {"last_error": failure}
