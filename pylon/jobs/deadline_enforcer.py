"""Ending jobs whose time is over when no signer does, and noting where deadlines have moved."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from pylon.chain.write_port import ChainWrites
from pylon.jetstream.bucket import ConflictError
from pylon.jobs.deadlines import DeadlineCalculator
from pylon.jobs.executor import JobExecutor
from pylon.jobs.job_planner import expiry_failure, would_change
from pylon.jobs.job_store import JobStore, StoredJob
from pylon.jobs.signer_directory import SignerDirectory
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.jobs import IN_FLIGHT, JobState
from pylon_client.contract.types import IdentityName

logger = logging.getLogger(__name__)

CHECK_INTERVAL_S: Final = 6.0
"""Seconds between two checks: twice in a block of the real chain."""


class DeadlineEnforcer:
    """Checks the jobs of all identities against the chain's schedule.

    Every signer does: of two that end a job at once, the ledger's compare-and-set lets one.

    Args:
        store: of the jobs.
        chain: whose schedule it is.
        executor: settles what was sent by a signer that is gone.
        signers: which identities something can sign for.
        identities: all that are configured.
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
        """Check again and again, until cancelled; what fails is checked again later."""
        while True:
            try:
                await self.check()
            except FailureError as error:
                logger.info("Could not check the deadlines of jobs: %s", error.failure.detail)
            await asyncio.sleep(CHECK_INTERVAL_S)

    async def check(self) -> None:
        """Check every job that is the newest of its lane and has not ended.

        Raises:
            FailureError: the chain or NATS did not answer.
        """
        for identity in self._identities:
            for stored in await self._store.latest_jobs(identity):
                try:
                    await self._check(stored)
                except ConflictError:
                    continue  # it has just changed

    async def _check(self, stored: StoredJob) -> None:
        job = stored.job
        if job.has_ended:
            return
        missing = self._signers.unavailable_reason(job.identity)
        if job.state in IN_FLIGHT or job.has_succeeded:
            if missing:
                await self._executor.confirm_abandoned(stored)
            return
        term = await self._deadlines.calculate(job)
        if term.has_passed:
            failure = _no_signer_failure(term.deadline_block, missing) if missing else None
            await self._store.change(
                stored,
                JobState.EXPIRED,
                **term.updates,
                last_error=failure or expiry_failure(job, term.deadline_block),
            )
        elif would_change(job, term.updates):
            await self._store.change(stored, **term.updates)


def _no_signer_failure(deadline_block: int, missing: str) -> Failure:
    detail = f"Its time was over at block {deadline_block}, and nothing could sign it: {missing}."
    return FailureError(ErrorCode.EXPIRED, detail).failure
