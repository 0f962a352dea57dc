"""Expire jobs that no signer executes, and store deadlines that have moved."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from pylon.chain.write_port import ChainWrites
from pylon.jetstream.bucket import ConflictError
from pylon.jobs.deadlines import DeadlineCalculator
from pylon.jobs.executor import JobExecutor
from pylon.jobs.job_planner import expiry_failure, would_change
from pylon.jobs.job_store import JobStore
from pylon.jobs.signer_directory import SignerDirectory
from pylon.jobs.stored_job import StoredJob
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import IN_FLIGHT, JobState
from pylon_client.contract.types import IdentityName

logger = logging.getLogger(__name__)

CHECK_INTERVAL_S: Final = 6.0
"""Seconds between two checks: two per block of the real chain."""


class DeadlineEnforcer:
    """Checks the deadlines of the jobs of all identities.

    Every signer runs one. If two of them expire a job concurrently, the compare-and-set of the job
    store lets one of them succeed.

    Args:
        store: the job store.
        chain: the chain whose epochs decide the deadlines.
        executor: confirms extrinsics of signers that no longer run.
        signers: the signers that run.
        identities: all configured identities.
    """

    def __init__(
        self,
        store: JobStore,
        chain: ChainWrites,
        executor: JobExecutor,
        signers: SignerDirectory,
        identities: Iterable[IdentityName],
    ) -> None:
        self._store = store
        self._executor = executor
        self._signers = signers
        self._identities = tuple(identities)
        self._deadlines = DeadlineCalculator(chain)

    async def run(self) -> None:
        """Check every `CHECK_INTERVAL_S` seconds, also after a failure, until cancelled."""
        while True:
            try:
                await self.check()
            except FailureError as error:
                logger.info("Could not check job deadlines: %s", error.failure.detail)
            await asyncio.sleep(CHECK_INTERVAL_S)

    async def check(self) -> None:
        """Check the latest job of each queue, unless it has ended.

        Raises:
            FailureError: the chain or NATS did not answer.
        """
        for identity in self._identities:
            for stored in await self._store.latest.list_jobs(identity):
                try:
                    await self._check(stored)
                except ConflictError:
                    continue  # it was changed concurrently; the next check sees it

    async def _check(self, stored: StoredJob) -> None:
        job = stored.job
        if job.has_ended:
            return
        missing = self._signers.unavailable_reason(job.identity)
        if job.state in IN_FLIGHT or job.has_succeeded:
            if missing:
                await self._executor.confirm_abandoned(stored)
            return
        deadline = await self._deadlines.calculate(job)
        if deadline.has_passed:
            failure = _no_signer_failure(deadline.deadline_block, missing) if missing else None
            await self._store.change(
                stored,
                JobState.EXPIRED,
                **deadline.updates,
                last_error=failure or expiry_failure(job, deadline.deadline_block),
            )
        elif would_change(job, deadline.updates):
            await self._store.change(stored, **deadline.updates)


def _no_signer_failure(deadline_block: int, missing: str) -> Failure:
    detail = (
        f"The deadline passed at block {deadline_block}, and no signer was available: {missing}."
    )
    return FailureError(ErrorCode.EXPIRED, detail).failure
