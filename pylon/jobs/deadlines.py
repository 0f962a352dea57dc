"""The deadline of a job, as a block from which on it is not submitted any more.

The deadline of weights is the end of the epoch in which they were accepted. It moves when the
subnet's owner triggers an epoch or changes the tempo. The deadline of other kinds is a fixed number
of blocks after acceptance.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from pylon.chain.write_port import ChainWrites, Epoch
from pylon.jobs import epochs
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job
from pylon_client.contract.types import BlockNumber, JobKind

DEADLINE_BLOCKS: Final = 720
"""Blocks from acceptance to deadline for jobs that do not end with an epoch: two default epochs, so
that a write that waits for the next epoch can still be submitted in it."""


@dataclass(frozen=True, slots=True)
class JobDeadline:
    """When a job was accepted, and when it expires.

    Attributes:
        accepted_block: newest block at acceptance, or the lowest possible one if it is not stored;
            None if it cannot be determined.
        epoch_block: first block of the epoch that weights are for; None for other kinds.
        deadline_block: first block after the deadline.
        has_passed: whether that block exists.
    """

    accepted_block: BlockNumber | None
    epoch_block: BlockNumber | None
    deadline_block: BlockNumber
    has_passed: bool

    @property
    def updates(self) -> dict[str, Any]:
        """Return the fields of the job that hold the deadline."""
        return {
            "accepted_block": self.accepted_block,
            "epoch_block": self.epoch_block,
            "deadline_block": self.deadline_block,
        }


class DeadlineCalculator:
    """Calculates deadlines from the chain's epochs.

    Args:
        chain: the chain to read.
    """

    def __init__(self, chain: ChainWrites) -> None:
        self._chain = chain

    async def calculate(self, job: Job, epoch: Epoch | None = None) -> JobDeadline:
        """Return the deadline of a job that has not ended.

        Args:
            job: a job of any kind.
            epoch: epoch of its subnet at the newest block, if it was read already.

        Raises:
            FailureError: the chain did not answer.
        """
        if job.kind is JobKind.WEIGHTS:
            return await self._calculate_weights(job, epoch or await self._chain.epoch(job.netuid))
        best = (await self._chain.tip()).best
        if job.accepted_block is not None:
            return _fixed_deadline(job.accepted_block, best)
        return _fixed_deadline(await self._lowest_accepted_block(job, best), best)

    async def _calculate_weights(self, job: Job, epoch: Epoch) -> JobDeadline:
        if job.accepted_block is not None:
            return weights_deadline(job.accepted_block, epoch)
        if epoch.next_start_block is None:
            return weights_deadline(await self._lowest_accepted_block(job, epoch.block), epoch)
        if await self._was_accepted_in(epoch, job):
            return weights_deadline(epoch.start_block, epoch)
        return JobDeadline(None, None, epoch.start_block, has_passed=True)

    async def _was_accepted_in(self, epoch: Epoch, job: Job) -> bool:
        """Return whether a job was certainly accepted after an epoch began."""
        try:
            return job.created_at_ms >= await self._chain.block_timestamp_ms(epoch.start_block)
        except FailureError as error:
            if error.code is not ErrorCode.ARCHIVE_REQUIRED:
                raise
            return False

    async def _lowest_accepted_block(self, job: Job, best: BlockNumber) -> BlockNumber:
        # The chain makes at most one block per block time. The newest block is dated by chain time,
        # because the clock of this machine may be wrong.
        passed_s = max(await self._chain.block_timestamp_ms(best) - job.created_at_ms, 0) / 1000
        passed_blocks = math.ceil(passed_s / await self._chain.block_time_s())
        return BlockNumber(max(best - passed_blocks, 0))


def weights_deadline(accepted_block: BlockNumber, epoch: Epoch) -> JobDeadline:
    """Return the deadline of weights that were accepted at a block."""
    if epoch.next_start_block is None:
        return _fixed_deadline(accepted_block, epoch.block)
    if epochs.has_ended(epoch, accepted_block):
        return JobDeadline(accepted_block, None, epoch.start_block, has_passed=True)
    return JobDeadline(accepted_block, epoch.start_block, epoch.next_start_block, has_passed=False)


def deadline_at_acceptance(kind: JobKind, epoch: Epoch) -> JobDeadline:
    """Return the deadline of a job that is accepted at the block at which `epoch` was read."""
    if kind is JobKind.WEIGHTS:
        return weights_deadline(epoch.block, epoch)
    return _fixed_deadline(epoch.block, epoch.block)


def _fixed_deadline(accepted_block: BlockNumber, best: BlockNumber) -> JobDeadline:
    deadline_block = BlockNumber(accepted_block + DEADLINE_BLOCKS)
    return JobDeadline(accepted_block, None, deadline_block, has_passed=best >= deadline_block)
