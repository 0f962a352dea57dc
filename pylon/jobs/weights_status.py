"""Report whether an identity's weights of an epoch are on the chain or accepted as a job."""

import contextlib
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

from pylon.chain.write_port import ChainWrites, Epoch
from pylon.jobs import epochs
from pylon.jobs.job_store import JobStore
from pylon.rpc.calls import CallResult, ServiceCall
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import SUCCEEDED, Job, JobState
from pylon_client.contract.models import WeightsStatus
from pylon_client.contract.reads import WeightsStatusParams
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.types import BlockNumber, JobKind

_IN_PROGRESS: Final = frozenset(
    {JobState.ACCEPTED, JobState.WAITING, JobState.SUBMITTING, JobState.UNKNOWN}
)

CLOCK_TOLERANCE_MS: Final = 600_000
"""Maximum difference between the clocks of workers and of the chain, in milliseconds."""


class WeightsStatusHandler:
    """Handles requests for the weights status of an identity.

    Args:
        store: the job store.
        chain: the chain whose epochs assign a block to an epoch.
        read_chain_status: handles the part of a request that reads the chain.
    """

    def __init__(
        self,
        store: JobStore,
        chain: ChainWrites,
        read_chain_status: Callable[[ServiceCall[WeightsStatusParams]], Awaitable[CallResult]],
    ) -> None:
        self._store = store
        self._chain = chain
        self._read_chain_status = read_chain_status

    async def handle(self, call: ServiceCall[WeightsStatusParams]) -> CallResult:
        """Return whether weights were accepted in the epoch of a block, and what the chain shows.

        Accepted weights count for every block of the epoch, unless their job failed. The response
        must not be cached by its block: a job may be accepted or fail before the next block.
        """
        with call.without_permit():
            is_accepted = await self._is_accepted(call)
        try:
            status = WeightsStatus.model_validate_json((await self._read_chain_status(call)).body)
        except FailureError as error:
            # The hotkey may be registered after its weights were accepted.
            if error.code is not ErrorCode.NOT_FOUND or not is_accepted:
                raise
            status = WeightsStatus(weights_submitted=False, weights_on_chain=False)
        on_chain = status.weights_on_chain
        return CallResult(
            json_codec.encode(
                WeightsStatus(weights_submitted=is_accepted or on_chain, weights_on_chain=on_chain)
            )
        )

    async def _is_accepted(self, call: ServiceCall[WeightsStatusParams]) -> bool:
        params, identity = call.params, call.caller_identity
        subject = JobSubject(identity, JobKind.WEIGHTS, params.mechanism_id)
        newest_id = (await self._store.latest.entry(subject)).latest.job_id
        if newest_id is None:
            return False
        newest = await self._store.get(identity, newest_id)
        block = params.block_number
        epoch = await self._chain.epoch(call.subnet, block)
        if newest is not None:
            if _covers(newest.job, epoch, block):
                return True
            if (newest.job.epoch_block or epoch.start_block) < epoch.start_block:
                return False  # earlier jobs are of earlier epochs
        return await self._any_job_covers(subject, epoch, block)

    async def _any_job_covers(self, subject: JobSubject, epoch: Epoch, block: BlockNumber) -> bool:
        """Return whether any job of a queue covers a block.

        Jobs are read in reverse order of their ends, back to the start of the block's epoch: a job
        that ended earlier cannot belong to it.
        """
        began_ms: int | None = None
        with contextlib.suppress(FailureError):  # then every job is read
            began_ms = await self._chain.block_timestamp_ms(epoch.start_block)
        async with aclosing(self._store.history(subject.identity)) as history:
            async for stored in history:
                if stored.record.subject == subject and _covers(stored.job, epoch, block):
                    return True
                ended_ms = stored.job.updated_at_ms if stored.job.has_ended else None
                if ended_ms and began_ms and ended_ms < began_ms - CLOCK_TOLERANCE_MS:
                    return False
        return False


def _covers(job: Job, epoch: Epoch, block: BlockNumber) -> bool:
    """Return whether a job has set, or may still set, the weights of a block's epoch.

    The deadline of an ended job does not decide this: the epochs may have moved since.

    Args:
        job: a weights job.
        epoch: epoch of the block, or the current one for a future block.
        block: the block in question.
    """
    if job.state not in _IN_PROGRESS | SUCCEEDED:
        return False
    if job.epoch_block is None:
        return job.state in _IN_PROGRESS  # accepted while the chain could not be reached
    if (
        epoch.next_start_block is not None
        and epoch.block < block
        and epoch.next_start_block <= block
    ):
        return False
    if job.epoch_block == epoch.start_block:
        return True
    # The epoch began after the job was last checked, and soon enough after its acceptance.
    return (
        job.state in _IN_PROGRESS
        and job.accepted_block is not None
        and job.epoch_block < epoch.start_block
        and not epochs.has_ended(epoch, job.accepted_block)
    )
