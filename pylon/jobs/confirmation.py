"""Confirm submitted extrinsics in final blocks, and decide what happens to their jobs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from pylon.chain.reveal_status import reveal_time_s
from pylon.chain.write_port import ChainWrites, Inclusion, Refusal, RefusalKind, RevealStatus
from pylon.jetstream.consumer import Ack, Acknowledgement, Nak
from pylon.jobs.job_planner import Defer, JobPlanner, would_change
from pylon.jobs.job_store import JobStore, StoredJob
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import ExtrinsicRecord, JobState
from pylon_client.contract.types import BlockNumber, Hotkey, JobKind

logger = logging.getLogger(__name__)

POLLS_PER_BLOCK: Final = 6
"""Number of checks for a new block within the time of one block."""
MIN_POLL_S: Final = 0.02
"""Minimum seconds between two checks for a new block."""
REVEAL_TIMEOUT_S: Final = 7200.0
"""Seconds after its drand round within which the chain must have opened a timelocked commitment."""
MAX_REVEAL_CHECK_S: Final = 60.0
"""Maximum seconds between two checks whether a timelocked commitment is revealed."""
MAX_DEFER_S: Final = 10.0
"""Maximum seconds between two checks of a deferred job: its epoch may have ended, or a newer job
may have superseded it."""


class ConfirmationTracker:
    """Looks for submitted extrinsics, and finishes or retries their jobs.

    Args:
        store: the job store.
        chain: the chain that the extrinsics were submitted to.
        planners: planners by kind of job.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        store: JobStore,
        chain: ChainWrites,
        planners: Mapping[JobKind, JobPlanner],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._chain = chain
        self._planners = planners
        self._sleep = sleep

    async def confirm(self, stored: StoredJob, hotkey: Hotkey) -> Acknowledgement:
        """Wait until the outcome of a job's extrinsic is final, and update the job accordingly.

        Only final blocks count, so a reorg cannot revert the result. An extrinsic that is in no
        block of its era can never be included.

        Raises:
            FailureError: the chain did not answer.
            ConflictError: the job was changed concurrently.
        """
        record = stored.job.extrinsic
        if record is None:
            return await self._fail_outcome_unknown(
                stored, "The job store does not have the extrinsic that was submitted."
            )
        try:
            return await self._search_final_blocks(stored, record, hotkey)
        except FailureError as error:
            if error.code is not ErrorCode.ARCHIVE_REQUIRED:
                raise
            # The state is pruned: without an archive node, a retry would fail in the same way.
            return await self._fail_outcome_unknown(stored, error.failure.detail)

    async def _fail_outcome_unknown(self, stored: StoredJob, why: str) -> Acknowledgement:
        failure = FailureError(ErrorCode.OUTCOME_UNKNOWN, why).failure
        await self._store.change(stored, JobState.FAILED, last_error=failure)
        return Ack()

    async def _search_final_blocks(
        self, stored: StoredJob, record: ExtrinsicRecord, hotkey: Hotkey
    ) -> Acknowledgement:
        poll_s = max(await self._chain.block_time_s() / POLLS_PER_BLOCK, MIN_POLL_S)
        # Not `submitted_block`: after a reorg the extrinsic may be included in a lower block.
        first = record.era_birth
        while True:
            finalized = (await self._chain.tip()).finalized
            last = min(finalized, record.last_valid_block)
            if first <= last:
                inclusion = await self._chain.find_extrinsic(record, first, last)
                if inclusion is not None:
                    return await self._on_included(stored, inclusion, hotkey)
                first = BlockNumber(last + 1)
            if first > record.last_valid_block:
                return await self._on_not_included(stored)
            await self._sleep(poll_s)

    async def handle_refusal(
        self, stored: StoredJob, refusal: Refusal, hotkey: Hotkey, **updates: Any
    ) -> Acknowledgement:
        """Retry, defer or reject a job that the chain has refused; nothing of it is in flight."""
        planner = self._planners[stored.job.kind]
        if refusal.kind is RefusalKind.RETRY:
            return await self._retry(stored, refusal.failure(), **updates)
        if refusal.kind is RefusalKind.FATAL or (
            refusal.kind is RefusalKind.NOT_ELIGIBLE and not planner.waits_for_permission
        ):
            failure = refusal.failure()
            await self._store.change(stored, JobState.REJECTED, last_error=failure, **updates)
            return Ack()
        # Store first that nothing is in flight: the following reads may fail.
        stored = await self._to_waiting(
            stored, last_error=refusal.failure(), retry_at_block=None, **updates
        )
        until_block = await planner.next_allowed_block(stored.job, hotkey)
        best = (await self._chain.tip()).best
        return await self.defer(stored, Defer(best, until_block, refusal.failure(until_block)))

    async def check_reveal(self, stored: StoredJob, hotkey: Hotkey) -> Acknowledgement:
        """Update the job of a timelocked commitment by the commitment's status on the chain.

        Raises:
            FailureError: the chain did not answer.
            ConflictError: the job was changed concurrently.
        """
        job = stored.job
        if job.included_block is None or job.reveal_round is None:
            return await self._fail_outcome_unknown(
                stored,
                "The job store does not have the block or the drand round of the commitment.",
            )
        match await self._chain.reveal_status(job.netuid, hotkey, job.included_block):
            case RevealStatus.REVEALED:
                await self._store.change(stored, JobState.REVEALED)
            case RevealStatus.REPLACED:
                entry = await self._store.latest_entry(stored.record.subject)
                newer = entry.latest.job_id if entry.has_newer_than(stored.record) else None
                await self._store.change(stored, JobState.SUPERSEDED, superseded_by=newer)
            case RevealStatus.FAILED:
                await self._fail_reveal(
                    stored, "The chain could not decrypt the timelocked commitment."
                )
            case RevealStatus.PENDING:
                return await self._await_reveal(stored, job.reveal_round)
        return Ack()

    async def _await_reveal(self, stored: StoredJob, reveal_round: int) -> Acknowledgement:
        # Chain time decides when it is revealed; the clock of this machine may be wrong.
        made_at_ms = await self._chain.block_timestamp_ms((await self._chain.tip()).best)
        overdue_s = made_at_ms / 1000 - reveal_time_s(reveal_round)
        if overdue_s <= REVEAL_TIMEOUT_S:
            block_time_s = await self._chain.block_time_s()
            return Nak(min(max(-overdue_s, block_time_s), MAX_REVEAL_CHECK_S))
        await self._fail_reveal(
            stored,
            f"The chain did not reveal the timelocked commitment within {REVEAL_TIMEOUT_S:.0f} s "
            f"after drand round {reveal_round}.",
        )
        return Ack()

    async def _fail_reveal(self, stored: StoredJob, why: str) -> None:
        failure = FailureError(ErrorCode.CHAIN_REJECTED, why).failure
        await self._store.change(stored, JobState.FAILED, last_error=failure)

    async def defer(self, stored: StoredJob, deferral: Defer) -> Acknowledgement:
        """Defer the job until the chain may accept it, and store its changed fields."""
        changes = {
            **deferral.updates,
            "retry_at_block": deferral.until_block,
            "last_error": deferral.failure,
        }
        if stored.job.state is not JobState.WAITING or would_change(stored.job, changes):
            await self._to_waiting(stored, **changes)
        block_time_s = await self._chain.block_time_s()
        if deferral.until_block is None:
            return Nak(min(block_time_s, MAX_DEFER_S))
        # It is submitted as soon as the block before `until_block` exists.
        blocks_left = deferral.until_block - 1 - deferral.read_at_block
        if blocks_left > 1:
            return Nak(min((blocks_left - 1) * block_time_s, MAX_DEFER_S))
        return Nak(max(block_time_s / POLLS_PER_BLOCK, MIN_POLL_S))

    async def finish_if_superseded(self, stored: StoredJob) -> bool:
        """Finish the job if a newer one of its queue supersedes it; return whether it did."""
        entry = await self._store.latest_entry(stored.record.subject)
        if not entry.has_newer_than(stored.record):
            return False
        await self._store.change(stored, JobState.SUPERSEDED, superseded_by=entry.latest.job_id)
        return True

    async def _on_included(
        self, stored: StoredJob, inclusion: Inclusion, hotkey: Hotkey
    ) -> Acknowledgement:
        job = stored.job
        if inclusion.refusal is not None:
            return await self.handle_refusal(
                stored, inclusion.refusal, hotkey, included_block=inclusion.block
            )
        if not await self._chain.is_on_chain(
            job.kind, job.netuid, job.mechanism, hotkey, inclusion.block
        ):
            failure = FailureError(
                ErrorCode.OUTCOME_UNKNOWN,
                f"Block {inclusion.block} includes the extrinsic, but its state does not show the "
                "write.",
            ).failure
            await self._store.change(
                stored, JobState.FAILED, included_block=inclusion.block, last_error=failure
            )
            return Ack()
        state = JobState.CONFIRMED if job.reveal_round is None else JobState.COMMITTED
        stored = await self._store.change(
            stored, state, included_block=inclusion.block, last_error=None
        )
        return Ack() if stored.job.has_ended else Nak(await self._chain.block_time_s())

    async def _on_not_included(self, stored: StoredJob) -> Acknowledgement:
        failure = FailureError(
            ErrorCode.CHAIN_UNAVAILABLE, "The extrinsic was not included in any block of its era."
        ).failure
        if await self.finish_if_superseded(stored):
            return Ack()
        return await self._retry(stored, failure)

    async def _retry(self, stored: StoredJob, failure: Failure, **updates: Any) -> Acknowledgement:
        retry_policy = self._planners[stored.job.kind].retry_policy
        attempts: int = updates.get("attempts", stored.job.attempts)
        updates["last_error"] = failure
        if retry_policy.is_exhausted(attempts):
            await self._store.change(stored, JobState.FAILED, **updates)
            return Ack()
        await self._to_waiting(stored, **updates, retry_at_block=None)
        return Nak(retry_policy.retry_delay_s(attempts))

    async def _to_waiting(self, stored: StoredJob, **updates: Any) -> StoredJob:
        state = None if stored.job.state is JobState.WAITING else JobState.WAITING
        return await self._store.change(stored, state, **updates)
