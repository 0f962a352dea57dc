"""What a job does that publishes a few bytes: commitments, sealed ones, and certificates."""

from typing import Final

from pylon.chain.write_port import (
    CertificateCall,
    ChainWrites,
    CommitmentCall,
    TimelockedCommitmentCall,
    WriteCall,
)
from pylon.jobs.deadlines import DeadlineCalculator
from pylon.jobs.job_planner import (
    Defer,
    Finish,
    Plan,
    Submit,
    Updates,
    expiry_failure,
    unreadable_request,
)
from pylon.jobs.retry_policy import RetryPolicy
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import BlockNumber, Hotkey, JobKind
from pylon_client.contract.writes import SetRevealedCommitment

RATE_LIMIT_RETRY_BLOCKS: Final = 10
"""How long to wait for a limit that does not go by epochs."""


class CommitmentPlanner:
    """Publishing a few bytes under a hotkey.

    Args:
        chain: where they are published.
        retry_policy: how often a job is tried.
    """

    # Its caller waits for the end, and can ask again.
    waits_for_permission = False

    def __init__(self, chain: ChainWrites, retry_policy: RetryPolicy) -> None:
        self._chain = chain
        self._deadlines = DeadlineCalculator(chain)
        self.retry_policy = retry_policy

    async def plan(self, job: Job, request: Updates, hotkey: Hotkey) -> Plan:
        """Ready, unless the job's time is over."""
        _ = hotkey
        term = await self._deadlines.calculate(job)
        if term.has_passed:
            return Finish(JobState.EXPIRED, expiry_failure(job, term.deadline_block), term.updates)
        if (wait := await self._active_deferral(job, term.updates)) is not None:
            return wait
        try:
            return Submit(_call(job, request), term.updates)
        except (LookupError, TypeError, ValueError, AttributeError):
            return unreadable_request()

    async def _active_deferral(self, job: Job, updates: Updates) -> Defer | None:
        """Return the wait for the limit that the chain has refused the job for, or None."""
        until_block, why = job.retry_at_block, job.last_error
        if until_block is None or why is None:
            return None
        epoch = await self._chain.epoch(job.netuid)
        has_begun = job.submitted_block is not None and epoch.start_block > job.submitted_block
        if has_begun or epoch.block + 1 >= until_block:
            return None
        return Defer(epoch.block, until_block, why, updates)

    async def next_allowed_block(self, job: Job, hotkey: Hotkey) -> BlockNumber:
        """Return the block from which the chain takes what it has just refused for a limit.

        What limits commitments is a budget of bytes per epoch, and certificates a number of blocks.
        """
        epoch = await self._chain.epoch(job.netuid)
        if job.kind is JobKind.CERTIFICATE:
            allowed_from = await self._chain.next_certificate_block(job.netuid, hotkey)
            if allowed_from > epoch.block + 1:
                return allowed_from
            return BlockNumber(epoch.block + RATE_LIMIT_RETRY_BLOCKS)
        if epoch.next_start_block is None:
            return BlockNumber(epoch.block + RATE_LIMIT_RETRY_BLOCKS)
        return max(epoch.next_start_block, BlockNumber(epoch.block + 1))


def _call(job: Job, request: Updates) -> WriteCall:
    match job.kind:
        case JobKind.COMMITMENT:
            return CommitmentCall(job.netuid, _decode_hex(request["commitment"]))
        case JobKind.REVEALED_COMMITMENT:
            sealed = SetRevealedCommitment.model_validate(request)
            return TimelockedCommitmentCall(
                job.netuid, sealed.commitment, sealed.blocks_until_reveal
            )
        case JobKind.CERTIFICATE:
            return CertificateCall(
                job.netuid, int(request["algorithm"]), _decode_hex(request["public_key"])
            )
        case JobKind.WEIGHTS:
            raise ValueError("weights are another kind of work")


def _decode_hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
