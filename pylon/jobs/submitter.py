"""Sign and submit a job: its extrinsic is recorded before it is sent.

The extrinsic's hash, nonce and era are stored in the job (SUBMITTING), then in the hotkey's
in-flight marker. Both use compare-and-set, so an expired holder of the hotkey's lease stops before
it submits.
"""

from dataclasses import dataclass
from typing import Final

from pylon.chain.write_port import ChainWrites, RefusedError, SignedCall
from pylon.common.signer import Signer
from pylon.jetstream.bucket import ConflictError
from pylon.jetstream.consumer import Acknowledgement, Nak
from pylon.jetstream.lease import Lease
from pylon.jobs.confirmation import ConfirmationTracker
from pylon.jobs.in_flight_markers import InFlightMarker, Submission
from pylon.jobs.job_endings import finish_if_unsupported, finish_wrong_chain
from pylon.jobs.job_planner import Submit, Updates
from pylon.jobs.job_store import JobStore
from pylon.jobs.stored_job import StoredJob
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import JobState
from pylon_client.contract.types import BlockNumber, Hotkey

HOTKEY_BUSY_RETRY_S: Final = 1.0
"""Delay, in seconds, of a job while another one is submitted with the same hotkey."""


@dataclass(frozen=True, slots=True)
class LockedHotkey:
    """A hotkey whose lease this worker holds."""

    hotkey: Hotkey
    signer: Signer
    lease: Lease


class JobSubmitter:
    """Submits jobs whose hotkey is locked.

    Args:
        store: the job store.
        chain: the chain to write to.
        confirmation: confirms the submitted extrinsics.
    """

    def __init__(
        self, store: JobStore, chain: ChainWrites, confirmation: ConfirmationTracker
    ) -> None:
        self._store = store
        self._chain = chain
        self._confirmation = confirmation

    async def submit(
        self, stored: StoredJob, plan: Submit, locked: LockedHotkey
    ) -> Acknowledgement:
        """Sign the write of a job, record the extrinsic, and submit it.

        Raises:
            ConflictError: the job, or the marker of the hotkey, was changed concurrently.
            FailureError: the chain or NATS did not answer.
        """
        marker = await self._store.in_flight.get(locked.hotkey)
        if await self._is_hotkey_busy(marker):
            return Nak(HOTKEY_BUSY_RETRY_S)
        try:
            signed = await self._chain.sign(plan.call, locked.signer)
        except FailureError as error:
            return await finish_if_unsupported(self._store, stored, error, plan.updates)
        if stored.job.genesis not in {None, signed.genesis}:
            return await finish_wrong_chain(self._store, stored)
        stored = await self._write_ahead(stored, locked, signed, plan.updates, marker)
        return await self._send(stored, locked.hotkey, signed)

    async def _write_ahead(
        self,
        stored: StoredJob,
        locked: LockedHotkey,
        signed: SignedCall,
        updates: Updates,
        marker: InFlightMarker,
    ) -> StoredJob:
        stored = await self._store.change(
            stored,
            JobState.SUBMITTING,
            **updates,
            attempts=stored.job.attempts + 1,
            genesis=signed.genesis,
            extrinsic=signed.record,
            hotkey=locked.hotkey,
            submitted_block=signed.signed_at_block,
            reveal_round=signed.reveal_round,
            included_block=None,
            retry_at_block=None,
            fence=locked.lease.fencing_token,
        )
        submission = Submission(
            identity=stored.job.identity,
            job_id=stored.job.job_id,
            extrinsic=signed.record,
            genesis=signed.genesis,
        )
        try:
            await self._store.in_flight.set(marker, locked.hotkey, submission)
        except (ConflictError, FailureError):
            # Another worker has submitted, or NATS did not answer: nothing was submitted here.
            await self._store.change(stored, JobState.WAITING, extrinsic=None)
            raise
        return stored

    async def _send(self, stored: StoredJob, hotkey: Hotkey, signed: SignedCall) -> Acknowledgement:
        try:
            await self._chain.submit(signed)
        except RefusedError as error:
            return await self._confirmation.handle_refusal(stored, error.refusal, hotkey)
        except FailureError as error:
            stored = await self._store.change(
                stored,
                JobState.UNKNOWN,
                last_error=FailureError(
                    ErrorCode.OUTCOME_UNKNOWN,
                    f"The response to the submission was lost. {error.failure.detail}",
                ).failure,
            )
        return await self._confirmation.confirm(stored, hotkey)

    async def _is_hotkey_busy(self, marker: InFlightMarker) -> bool:
        """Return whether an extrinsic of the hotkey may still be included."""
        submission = marker.submission
        if submission is None or not await self._store.in_flight.is_in_flight(submission):
            return False
        if submission.genesis not in {None, await self._chain.genesis()}:
            return False
        last_valid: BlockNumber = submission.extrinsic.last_valid_block
        return (await self._chain.tip()).finalized < last_valid
