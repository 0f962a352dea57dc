"""All of one worker that has to do with jobs, put together."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Final

from pylon.chain.write_port import ChainWrites, Signer
from pylon.common.task_supervisor import Supervisor
from pylon.jetstream.bucket import Bucket
from pylon.jetstream.consumer import Consumer, Never, Verdict
from pylon.jetstream.lease import Leases
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.work_queue import WorkQueue
from pylon.jetstream.write_health import WriteHealth
from pylon.jobs.acceptor import Intake
from pylon.jobs.commitment_planner import PublishingWork
from pylon.jobs.deadline_enforcer import DeadlineKeeper
from pylon.jobs.executor import Runner
from pylon.jobs.job_planner import Work
from pylon.jobs.job_store import Announce, Ledger
from pylon.jobs.retry_policy import Retries
from pylon.jobs.signer_directory import SignerDirectory
from pylon.jobs.weights_planner import WeightsWork
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import FailureError
from pylon_client.contract.subjects import identity_jobs, job_id
from pylon_client.contract.topology import JOBS, JOBS_BUCKET, LEASE_TTL_S, LEASES_BUCKET
from pylon_client.contract.types import IdentityName, JobKind
from pylon_client.nats.nats_connection import Connection

logger = logging.getLogger(__name__)

SWEEP_EVERY_S: Final = 30.0
"""How often an idle lane is checked for jobs that were written down and not queued."""
SUPPORT_RETRY_S: Final = 5.0
"""Seconds until the chain's runtime is looked at again when the chain could not be reached."""


class JobOffice:
    """Works on the jobs whose hotkeys are at hand, and keeps all of them to their deadlines.

    Args:
        connection: as the user `worker`.
        settings: of the worker.
        chain: where jobs are written.
        signers: the hotkeys that are at hand, by identity.
        directory: for which identities any worker can sign.
        announce: is told of every change of a job.
        supervisor: restarts whichever part fails, a lane or the check of deadlines.
        writes: records which writes JetStream stores.

    Attributes:
        ledger: where jobs are written down.
        identities: those whose jobs are worked on here.
    """

    def __init__(
        self,
        connection: Connection,
        settings: WorkerSettings,
        chain: ChainWrites,
        signers: Mapping[IdentityName, Signer],
        directory: SignerDirectory,
        announce: Announce,
        supervisor: Supervisor,
        writes: WriteHealth,
    ) -> None:
        ledger = Ledger(
            OrderedBucket(connection, JOBS_BUCKET, writes),
            announce,
            ended_kept_days=settings.ended_jobs_kept_days,
        )
        self.identities: Final = tuple(signers)
        self._chain = chain
        self._supervisor = supervisor
        self._netuids = [settings.identity_settings[name].netuid for name in signers]
        self.ledger: Final = ledger
        intake = Intake(ledger, WorkQueue(connection, writes), chain, directory)
        self._stopping = asyncio.Event()
        leases = Leases(Bucket(connection, LEASES_BUCKET, writes), LEASE_TTL_S)
        self._runner = Runner(ledger, leases, chain, signers, _works(settings, chain))
        self._deadlines = DeadlineKeeper(
            ledger, chain, self._runner, directory, settings.identity_settings
        )
        self._lanes = [
            Lane(connection, self._runner, intake, identity, kind)
            for identity in signers
            for kind in JobKind
        ]

    async def run(self) -> None:
        """Work on jobs until `stop`; when it is cancelled, what is in hand is handed back."""
        async with asyncio.TaskGroup() as group:
            keep = self._supervisor.keep
            checks = [
                group.create_task(keep("deadlines of jobs", self._deadlines.run)),
                group.create_task(keep("support of the runtime", self._log_unsupported)),
            ]
            for lane in self._lanes:
                group.create_task(keep(lane.name, lane.consumer.run), name=lane.name)
            # A signer whose hotkeys cannot be opened, and which has no lanes, runs on too.
            await self._stopping.wait()
            for check in checks:
                check.cancel()

    async def _log_unsupported(self) -> None:
        """Log which writes the chain's runtime cannot take, once the chain is reached."""
        while self._netuids:
            try:
                missing = await self._chain.unsupported(self._netuids[0])
            except FailureError:
                await asyncio.sleep(SUPPORT_RETRY_S)
                continue
            for kind, why in missing.items():
                logger.error("This chain cannot take %s: %s", kind, why)
            return

    def stop(self) -> None:
        """Take no further job; `run` ends when those in hand are dealt with."""
        self._stopping.set()
        for lane in self._lanes:
            lane.consumer.stop()


class Lane:
    """The jobs of one identity and kind; one of them is in hand here at a time.

    Attributes:
        consumer: takes them.
        name: of the durable consumer, shared by all workers.
    """

    def __init__(
        self,
        connection: Connection,
        runner: Runner,
        intake: Intake,
        identity: IdentityName,
        kind: JobKind,
    ) -> None:
        self.name: Final = f"{kind}_{identity}"
        self._runner = runner
        self._intake = intake
        self._identity = identity
        self._kind = kind
        self._sweep_at_s = 0.0
        self.consumer: Final = Consumer(
            connection,
            JOBS,
            name=self.name,
            subject=identity_jobs(identity, kind),
            handler=self._work,
            on_idle=self._sweep,
            on_remade=self._queue_again,
        )

    async def _work(self, body: bytes) -> Verdict:
        try:
            job = job_id(body.decode())
        except ValueError:
            logger.warning("%s: a message names no job, and is dropped", self.name)
            return Never()
        return await self._runner.work(self._identity, job)

    async def _sweep(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._sweep_at_s and await self.consumer.is_idle():
            await self._queue_again()

    async def _queue_again(self) -> None:
        """Queue the jobs that have not ended, since the queue lacks some or all of them.

        A queue that was made again is not waited for to be idle: a new job may wait in it for its
        block. One that the new queue has already is not queued twice within the duplicate window.
        """
        self._sweep_at_s = 0.0  # should this fail, the next idle fetch repeats it
        with contextlib.suppress(FailureError):
            await self._intake.sweep(self._identity, self._kind)
            self._sweep_at_s = asyncio.get_running_loop().time() + SWEEP_EVERY_S


def _works(settings: WorkerSettings, chain: ChainWrites) -> dict[JobKind, Work]:
    weights = WeightsWork(
        chain,
        Retries(settings.weights_retry_attempts, settings.weights_retry_delay_seconds),
        settings.weights_unknown_hotkeys,
    )
    publishing = PublishingWork(
        chain, Retries(settings.commitment_retry_attempts, settings.commitment_retry_delay_seconds)
    )
    return {kind: weights if kind is JobKind.WEIGHTS else publishing for kind in JobKind}
