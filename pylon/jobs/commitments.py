"""What a job does that publishes a few bytes: commitments, sealed ones, and certificates."""

from typing import Final

from pylon.chain.writes import (
    CertificateCall,
    ChainWrites,
    CommitmentCall,
    SealedCommitmentCall,
    WriteCall,
)
from pylon.jobs.retries import Retries
from pylon.jobs.work import Over, Plan, Ready, Updates, expired, unreadable
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import BlockNumber, Hotkey, JobKind
from pylon_client.contract.writes import SetRevealedCommitment

DEADLINE_BLOCKS: Final = 720
"""How long the chain may refuse such a job before it is given up: two ordinary epochs, so that what
has to wait for the next one has time left in it."""
LIMIT_WAIT_BLOCKS: Final = 10
"""How long to wait for a limit that does not go by epochs."""


class PublishingWork:
    """Publishing a few bytes under a hotkey.

    Args:
        chain: where they are published.
        retries: how often a job is tried.
    """

    def __init__(self, chain: ChainWrites, retries: Retries) -> None:
        self._chain = chain
        self.retries = retries

    async def plan(self, job: Job, request: Updates, own: Hotkey) -> Plan:
        """Ready, unless the job's time is over."""
        _ = own
        best = (await self._chain.heads()).best
        accepted_block = best if job.accepted_block is None else job.accepted_block
        deadline_block = job.deadline_block
        if deadline_block is None:
            # The chain may have been away for long before it was first looked at.
            deadline_block = BlockNumber(best + DEADLINE_BLOCKS)
        updates = {"accepted_block": accepted_block, "deadline_block": deadline_block}
        if best >= deadline_block:
            return Over(JobState.EXPIRED, expired(job, updates["deadline_block"]), updates)
        try:
            return Ready(_call(job, request), updates)
        except (LookupError, TypeError, ValueError, AttributeError):
            return unreadable()

    async def wait_until(self, job: Job, own: Hotkey) -> BlockNumber:
        """The subnet's next epoch: what limits commitments is a budget of bytes per epoch.

        Certificates have a limit of some blocks.
        """
        _ = own
        epoch = await self._chain.epoch(job.netuid)
        if epoch.next_block is None or job.kind is JobKind.CERTIFICATE:
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
