"""Plan jobs that publish a few bytes: commitments, timelocked commitments and certificates."""

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
from pylon.jobs.retry_policy import RATE_LIMIT_RETRY_BLOCKS, RetryPolicy
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import BlockNumber, Hotkey, JobKind
from pylon_client.contract.writes import SetRevealedCommitment


class CommitmentPlanner:
    """Plans jobs that publish a few bytes under a hotkey.

    Args:
        chain: the chain to write to.
        retry_policy: number of attempts and delay between them.
    """

    # The caller waits for the outcome, and can send the request again.
    waits_for_permission = False

    def __init__(self, chain: ChainWrites, retry_policy: RetryPolicy) -> None:
        self._chain = chain
        self._deadlines = DeadlineCalculator(chain)
        self.retry_policy = retry_policy

    async def plan(self, job: Job, request: Updates, hotkey: Hotkey) -> Plan:
        """Plan the submission of a job whose deadline has not passed."""
        _ = hotkey
        deadline = await self._deadlines.calculate(job)
        if deadline.has_passed:
            return Finish(
                JobState.EXPIRED, expiry_failure(job, deadline.deadline_block), deadline.updates
            )
        if (deferral := await self._active_deferral(job, deadline.updates)) is not None:
            return deferral
        try:
            return Submit(_call(job, request), deadline.updates)
        except (LookupError, TypeError, ValueError, AttributeError):
            return unreadable_request()

    async def _active_deferral(self, job: Job, updates: Updates) -> Defer | None:
        """Return the deferral for the rate limit that the chain refused the job for, or None."""
        until_block, failure = job.retry_at_block, job.last_error
        if until_block is None or failure is None:
            return None
        epoch = await self._chain.epoch(job.netuid)
        epoch_has_changed = (
            job.submitted_block is not None and epoch.start_block > job.submitted_block
        )
        if epoch_has_changed or epoch.block + 1 >= until_block:
            return None
        return Defer(epoch.block, until_block, failure, updates)

    async def next_allowed_block(self, job: Job, hotkey: Hotkey) -> BlockNumber:
        """Return the first block in which the chain may accept the job, after a rate limit.

        Commitments are limited by bytes per epoch, certificates by blocks between two of them.
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
            timelocked = SetRevealedCommitment.model_validate(request)
            return TimelockedCommitmentCall(
                job.netuid, timelocked.commitment, timelocked.blocks_until_reveal
            )
        case JobKind.CERTIFICATE:
            return CertificateCall(
                job.netuid, int(request["algorithm"]), _decode_hex(request["public_key"])
            )
        case JobKind.WEIGHTS:
            raise ValueError("weights jobs are planned by WeightsPlanner")


def _decode_hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
