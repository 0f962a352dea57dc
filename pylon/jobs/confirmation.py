"""Finding out what became of what was sent, and what follows for the job."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from pylon.chain.reveal_status import opens_at_s
from pylon.chain.write_port import ChainWrites, Inclusion, Refusal, Seal, Step
from pylon.jetstream.consumer import Done, Later, Verdict
from pylon.jobs.job_planner import Wait, Work, has_news
from pylon.jobs.job_store import Held, Ledger
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import ExtrinsicRecord, JobState
from pylon_client.contract.types import BlockNumber, Hotkey, JobKind

logger = logging.getLogger(__name__)

POLLS_PER_BLOCK: Final = 6
POLL_LEAST_S: Final = 0.02
OPENED_WITHIN_S: Final = 7200.0
"""Seconds after its drand round within which the chain must have opened a sealed commitment."""
FOLLOW_MAX_S: Final = 60.0
"""Longest delay, in seconds, after which a sealed commitment is looked at again."""
PARK_MAX_S: Final = 10.0
"""Longest delay, in seconds, after which a parked job is looked at again: its epoch may have ended,
or a newer job may have taken its place."""


class Settlement:
    """Looks for what was sent and ends, or goes on with, its job.

    Args:
        ledger: where jobs are written down.
        chain: where to look.
        works: what jobs do, by kind.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        chain: ChainWrites,
        works: Mapping[JobKind, Work],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ledger = ledger
        self._chain = chain
        self._works = works
        self._sleep = sleep

    async def settle(self, held: Held, own: Hotkey) -> Verdict:
        """What follows from what the chain shows; waits until it shows enough.

        Only final blocks count, so that no reorganisation can take back what was found. That an
        extrinsic is in none of the blocks of its era is proof that it never will be in any.

        Raises:
            FailureError: the chain did not answer.
            ConflictError: the job was changed meanwhile.
        """
        record = held.job.extrinsic
        if record is None:
            return await self._lost_from_sight(held, "The ledger does not say what was sent.")
        try:
            return await self._found_out(held, record, own)
        except FailureError as error:
            if error.code is not ErrorCode.ARCHIVE_REQUIRED:
                raise
            # Whoever waited for that state to come back would wait for ever.
            return await self._lost_from_sight(held, error.failure.detail)

    async def _lost_from_sight(self, held: Held, why: str) -> Verdict:
        failure = FailureError(ErrorCode.OUTCOME_UNKNOWN, why).failure
        await self._ledger.change(held, JobState.FAILED, last_error=failure)
        return Done()

    async def _found_out(self, held: Held, record: ExtrinsicRecord, own: Hotkey) -> Verdict:
        poll_s = max(await self._chain.block_time_s() / POLLS_PER_BLOCK, POLL_LEAST_S)
        # Not from `submitted_block` on: a reorganisation may include it lower than that.
        first = record.era_birth
        while True:
            final = (await self._chain.heads()).final
            last = min(final, record.last_valid_block)
            if first <= last:
                inclusion = await self._chain.find(record, first, last)
                if inclusion is not None:
                    return await self._included(held, inclusion, own)
                first = BlockNumber(last + 1)
            if first > record.last_valid_block:
                return await self._absent(held)
            await self._sleep(poll_s)

    async def refused(self, held: Held, refusal: Refusal, own: Hotkey, **updates: Any) -> Verdict:
        """What follows when the chain did not take the job, and nothing of it is on its way."""
        work = self._works[held.job.kind]
        if refusal.step is Step.AGAIN:
            return await self._again(held, refusal.failure(), **updates)
        if refusal.step is Step.NEVER or (
            refusal.step is Step.NOT_YET and not work.waits_for_rights
        ):
            failure = refusal.failure()
            await self._ledger.change(held, JobState.REJECTED, last_error=failure, **updates)
            return Done()
        # First what is known for sure: that nothing of it is on its way.
        held = await self._to_waiting(
            held, last_error=refusal.failure(), retry_at_block=None, **updates
        )
        until_block = await work.wait_until(held.job, own)
        best = (await self._chain.heads()).best
        return await self.wait(held, Wait(best, until_block, refusal.failure(until_block)))

    async def follow(self, held: Held, own: Hotkey) -> Verdict:
        """Look what became of a sealed commitment that is on the chain.

        Raises:
            FailureError: the chain did not answer.
            ConflictError: the job was changed meanwhile.
        """
        job = held.job
        if job.included_block is None or job.reveal_round is None:
            return await self._lost_from_sight(held, "The ledger does not say what was sealed.")
        match await self._chain.seal(job.netuid, own, job.included_block):
            case Seal.OPENED:
                await self._ledger.change(held, JobState.REVEALED)
            case Seal.REPLACED:
                lane = await self._ledger.lane(held.record.lane)
                newer = lane.newest.job_id if lane.has_newer_than(held.record) else None
                await self._ledger.change(held, JobState.SUPERSEDED, superseded_by=newer)
            case Seal.BROKEN:
                await self._not_opened(held, "The chain could not open the sealed commitment.")
            case Seal.CLOSED:
                return await self._closed(held, job.reveal_round)
        return Done()

    async def _closed(self, held: Held, reveal_round: int) -> Verdict:
        # By the chain's time, which decides when it opens: this machine's clock may be wrong.
        made_at_ms = await self._chain.made_at_ms((await self._chain.heads()).best)
        overdue_s = made_at_ms / 1000 - opens_at_s(reveal_round)
        if overdue_s <= OPENED_WITHIN_S:
            block_time_s = await self._chain.block_time_s()
            return Later(min(max(-overdue_s, block_time_s), FOLLOW_MAX_S))
        await self._not_opened(
            held,
            f"The chain did not open the sealed commitment within {OPENED_WITHIN_S:.0f} s "
            f"of drand's round {reveal_round}.",
        )
        return Done()

    async def _not_opened(self, held: Held, why: str) -> None:
        failure = FailureError(ErrorCode.CHAIN_REJECTED, why).failure
        await self._ledger.change(held, JobState.FAILED, last_error=failure)

    async def wait(self, held: Held, wait: Wait) -> Verdict:
        """Park the job until the chain may take it; write down what has changed about it."""
        wanted = {
            **wait.updates,
            "retry_at_block": wait.until_block,
            "last_error": wait.failure,
        }
        if held.job.state is not JobState.WAITING or has_news(held.job, wanted):
            await self._to_waiting(held, **wanted)
        block_time_s = await self._chain.block_time_s()
        if wait.until_block is None:
            return Later(min(block_time_s, PARK_MAX_S))
        # It is sent at the block before, and that as soon as it is there.
        blocks_left = wait.until_block - 1 - wait.block
        if blocks_left > 1:
            return Later(min((blocks_left - 1) * block_time_s, PARK_MAX_S))
        return Later(max(block_time_s / POLLS_PER_BLOCK, POLL_LEAST_S))

    async def give_way(self, held: Held) -> bool:
        """End the job if a newer one has taken its place in its lane; whether it did."""
        lane = await self._ledger.lane(held.record.lane)
        if not lane.has_newer_than(held.record):
            return False
        await self._ledger.change(held, JobState.SUPERSEDED, superseded_by=lane.newest.job_id)
        return True

    async def _included(self, held: Held, inclusion: Inclusion, own: Hotkey) -> Verdict:
        job = held.job
        if inclusion.refusal is not None:
            return await self.refused(held, inclusion.refusal, own, included_block=inclusion.block)
        if not await self._chain.stands(job.kind, job.netuid, job.mechanism, own, inclusion.block):
            failure = FailureError(
                ErrorCode.OUTCOME_UNKNOWN,
                f"Block {inclusion.block} holds the extrinsic, but its state does not show what "
                "was written.",
            ).failure
            await self._ledger.change(
                held, JobState.FAILED, included_block=inclusion.block, last_error=failure
            )
            return Done()
        state = JobState.CONFIRMED if job.reveal_round is None else JobState.COMMITTED
        held = await self._ledger.change(
            held, state, included_block=inclusion.block, last_error=None
        )
        return Done() if held.job.has_ended else Later(await self._chain.block_time_s())

    async def _absent(self, held: Held) -> Verdict:
        failure = FailureError(
            ErrorCode.CHAIN_UNAVAILABLE, "No block of its era holds the extrinsic that was sent."
        ).failure
        if await self.give_way(held):
            return Done()
        return await self._again(held, failure)

    async def _again(self, held: Held, failure: Failure, **updates: Any) -> Verdict:
        retries = self._works[held.job.kind].retries
        attempts: int = updates.get("attempts", held.job.attempts)
        updates["last_error"] = failure
        if retries.are_used_up(attempts):
            await self._ledger.change(held, JobState.FAILED, **updates)
            return Done()
        await self._to_waiting(held, **updates, retry_at_block=None)
        return Later(retries.pause_s(attempts))

    async def _to_waiting(self, held: Held, **updates: Any) -> Held:
        state = None if held.job.state is JobState.WAITING else JobState.WAITING
        return await self._ledger.change(held, state, **updates)
