"""What a job does that publishes a few bytes: commitments, sealed ones, and certificates."""

from typing import Final

from pylon.chain.write_port import (
    CertificateCall,
    ChainWrites,
    CommitmentCall,
    SealedCommitmentCall,
    WriteCall,
)
from pylon.jobs.deadlines import Terms
from pylon.jobs.job_planner import Over, Plan, Ready, Updates, Wait, expired, unreadable
from pylon.jobs.retry_policy import Retries
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import BlockNumber, Hotkey, JobKind
from pylon_client.contract.writes import SetRevealedCommitment

LIMIT_WAIT_BLOCKS: Final = 10
"""How long to wait for a limit that does not go by epochs."""


class PublishingWork:
    """Publishing a few bytes under a hotkey.

    Args:
        chain: where they are published.
        retries: how often a job is tried.
    """

    # Its caller waits for the end, and can ask again.
    waits_for_rights = False

    def __init__(self, chain: ChainWrites, retries: Retries) -> None:
        self._chain = chain
        self._terms = Terms(chain)
        self.retries = retries

    async def plan(self, job: Job, request: Updates, own: Hotkey) -> Plan:
        """Ready, unless the job's time is over."""
        _ = own
        term = await self._terms.of(job)
        if term.is_over:
            return Over(JobState.EXPIRED, expired(job, term.deadline_block), term.updates)
        if (wait := await self._parked(job, term.updates)) is not None:
            return wait
        try:
            return Ready(_call(job, request), term.updates)
        except (LookupError, TypeError, ValueError, AttributeError):
            return unreadable()

    async def _parked(self, job: Job, updates: Updates) -> Wait | None:
        """Return the wait for the limit that the chain has refused the job for, or None."""
        until_block, why = job.retry_at_block, job.last_error
        if until_block is None or why is None:
            return None
        epoch = await self._chain.epoch(job.netuid)
        has_begun = job.submitted_block is not None and epoch.last_block > job.submitted_block
        if has_begun or epoch.block + 1 >= until_block:
            return None
        return Wait(epoch.block, until_block, why, updates)

    async def wait_until(self, job: Job, own: Hotkey) -> BlockNumber:
        """Return the block from which the chain takes what it has just refused for a limit.

        What limits commitments is a budget of bytes per epoch, and certificates a number of blocks.
        """
        epoch = await self._chain.epoch(job.netuid)
        if job.kind is JobKind.CERTIFICATE:
            allowed_from = await self._chain.certificate_allowed_from(job.netuid, own)
            if allowed_from > epoch.block + 1:
                return allowed_from
            return BlockNumber(epoch.block + LIMIT_WAIT_BLOCKS)
        if epoch.next_block is None:
            return BlockNumber(epoch.block + LIMIT_WAIT_BLOCKS)
        return max(epoch.next_block, BlockNumber(epoch.block + 1))


def _call(job: Job, request: Updates) -> WriteCall:
    match job.kind:
        case JobKind.COMMITMENT:
            return CommitmentCall(job.netuid, _bytes(request["commitment"]))
        case JobKind.REVEALED_COMMITMENT:
            sealed = SetRevealedCommitment.model_validate(request)
            return SealedCommitmentCall(job.netuid, sealed.commitment, sealed.blocks_until_reveal)
        case JobKind.CERTIFICATE:
            return CertificateCall(
                job.netuid, int(request["algorithm"]), _bytes(request["public_key"])
            )
        case JobKind.WEIGHTS:
            raise ValueError("weights are another kind of work")


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
