"""Run the job consumers and the deadline checks of one worker."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pylon.chain.write_port import ChainWrites
from pylon.common.signer import Signer
from pylon.common.task_supervisor import TaskSupervisor
from pylon.jetstream.bucket import Bucket
from pylon.jetstream.consumer import Acknowledgement, Consumer, Term
from pylon.jetstream.lease import Leases
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.work_queue import WorkQueue
from pylon.jetstream.write_health import WriteHealth
from pylon.jobs.acceptor import JobAcceptor
from pylon.jobs.commitment_planner import CommitmentPlanner
from pylon.jobs.deadline_enforcer import DeadlineEnforcer
from pylon.jobs.executor import JobExecutor
from pylon.jobs.job_planner import JobPlanner
from pylon.jobs.job_store import JobStore, OnJobChange
from pylon.jobs.retry_policy import RetryPolicy
from pylon.jobs.signer_directory import SignerDirectory
from pylon.jobs.unknown_hotkeys import UnknownHotkeyPolicy
from pylon.jobs.weights_planner import WeightsPlanner
from pylon_client.contract.failures import FailureError
from pylon_client.contract.subjects import identity_jobs, validate_job_id
from pylon_client.contract.topology import JOB_QUEUE, JOBS_BUCKET, LEASE_TTL_S, LEASES_BUCKET
from pylon_client.contract.types import IdentityName, JobKind, NetUid
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

REQUEUE_INTERVAL_S: Final = 30.0
"""Seconds between two checks of an idle queue for stored jobs that are not queued."""
RUNTIME_CHECK_RETRY_S: Final = 5.0
"""Seconds until the support of the chain's runtime is checked again after a failure."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """Settings of the jobs of one worker.

    Attributes:
        netuids: subnet of each configured identity.
        ended_retention_days: days after which an ended job is removed from the job store.
        weights_retry: how weights jobs are retried.
        commitment_retry: how jobs of the other kinds are retried.
        unknown_hotkeys: how weights of unregistered hotkeys are handled.
    """

    netuids: Mapping[IdentityName, NetUid]
    ended_retention_days: int
    weights_retry: RetryPolicy
    commitment_retry: RetryPolicy
    unknown_hotkeys: UnknownHotkeyPolicy


class JobService:
    """Executes the jobs that this worker can sign, and enforces the deadlines of all jobs.

    Args:
        connection: as the user `worker`.
        options: settings of the jobs.
        chain: the chain to write to.
        signers: the hotkeys that this worker can sign with, by identity.
        directory: the signers that run in the deployment.
        on_change: called after every change of a job.
        supervisor: restarts a consumer or check that fails.
        writes: records which writes JetStream stores.

    Attributes:
        store: the job store.
        identities: identities whose jobs this worker executes.
    """

    def __init__(
        self,
        connection: NatsConnection,
        options: JobOptions,
        chain: ChainWrites,
        signers: Mapping[IdentityName, Signer],
        directory: SignerDirectory,
        on_change: OnJobChange,
        supervisor: TaskSupervisor,
        writes: WriteHealth,
    ) -> None:
        store = JobStore(
            OrderedBucket(connection, JOBS_BUCKET, writes),
            on_change,
            ended_retention_days=options.ended_retention_days,
        )
        self.identities: Final = tuple(signers)
        self._chain = chain
        self._supervisor = supervisor
        self._netuids = [options.netuids[name] for name in signers]
        self.store: Final = store
        acceptor = JobAcceptor(store, WorkQueue(connection, writes), chain, directory)
        self._stopping = asyncio.Event()
        leases = Leases(Bucket(connection, LEASES_BUCKET, writes), LEASE_TTL_S)
        self._executor = JobExecutor(store, leases, chain, signers, _planners(options, chain))
        self._deadlines = DeadlineEnforcer(store, chain, self._executor, directory, options.netuids)
        self._consumers = [
            JobConsumer(connection, self._executor, acceptor, identity, kind)
            for identity in signers
            for kind in JobKind
        ]

    async def run(self) -> None:
        """Execute jobs until `stop`; if cancelled, return the jobs in progress to the queue."""
        async with asyncio.TaskGroup() as group:
            supervise = self._supervisor.supervise
            checks = [
                group.create_task(supervise("deadlines of jobs", self._deadlines.run)),
                group.create_task(supervise("support of the runtime", self._log_unsupported)),
            ]
            for job_consumer in self._consumers:
                group.create_task(
                    supervise(job_consumer.name, job_consumer.consumer.run), name=job_consumer.name
                )
            # A signer whose hotkeys cannot be opened has no consumers, and keeps running.
            await self._stopping.wait()
            for check in checks:
                check.cancel()

    async def _log_unsupported(self) -> None:
        """Log the kinds of writes that the chain's runtime does not support, once it is reached."""
        while self._netuids:
            try:
                missing = await self._chain.unsupported_writes(self._netuids[0])
            except FailureError:
                await asyncio.sleep(RUNTIME_CHECK_RETRY_S)
                continue
            for kind, why in missing.items():
                logger.error("The chain's runtime does not support %s: %s", kind, why)
            return

    def stop(self) -> None:
        """Stop consuming jobs; `run` returns when the jobs in progress are acknowledged."""
        self._stopping.set()
        for job_consumer in self._consumers:
            job_consumer.consumer.stop()


class JobConsumer:
    """Consumes the jobs of one identity and kind, one at a time.

    Attributes:
        consumer: the consumer of the job queue.
        name: name of the durable consumer, which all workers share.
    """

    def __init__(
        self,
        connection: NatsConnection,
        executor: JobExecutor,
        acceptor: JobAcceptor,
        identity: IdentityName,
        kind: JobKind,
    ) -> None:
        self.name: Final = f"{kind}_{identity}"
        self._executor = executor
        self._acceptor = acceptor
        self._identity = identity
        self._kind = kind
        self._next_requeue_s = 0.0
        self.consumer: Final = Consumer(
            connection,
            JOB_QUEUE,
            name=self.name,
            subject=identity_jobs(identity, kind),
            handler=self._on_message,
            on_idle=self._requeue_if_due,
            on_recreated=self._requeue,
        )

    async def _on_message(self, body: bytes) -> Acknowledgement:
        try:
            job = validate_job_id(body.decode())
        except ValueError:
            logger.warning("%s: dropped a message without a job id", self.name)
            return Term()
        return await self._executor.execute(self._identity, job)

    async def _requeue_if_due(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._next_requeue_s and await self.consumer.is_idle():
            await self._requeue()

    async def _requeue(self) -> None:
        """Queue the open jobs that are missing in the queue.

        After the queue was created again, this does not wait until it is idle: a new job may be
        deferred in it. A job that the new queue holds already is not queued twice within the
        duplicate window.
        """
        self._next_requeue_s = 0.0  # if this fails, the next idle fetch repeats it
        with contextlib.suppress(FailureError):
            await self._acceptor.requeue_open_jobs(self._identity, self._kind)
            self._next_requeue_s = asyncio.get_running_loop().time() + REQUEUE_INTERVAL_S


def _planners(options: JobOptions, chain: ChainWrites) -> dict[JobKind, JobPlanner]:
    weights = WeightsPlanner(chain, options.weights_retry, options.unknown_hotkeys)
    other = CommitmentPlanner(chain, options.commitment_retry)
    return {kind: weights if kind is JobKind.WEIGHTS else other for kind in JobKind}
