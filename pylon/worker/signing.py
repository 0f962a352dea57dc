"""The signing parts of a worker: job service, job metrics and signer announcements."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from pylon.blocks.snapshots import Snapshots
from pylon.chain.subtensor_writer import SubtensorWriter
from pylon.common.task_supervisor import TaskSupervisor
from pylon.events.job_event_publisher import JobEventPublisher
from pylon.events.signer_events import SignerEvents
from pylon.jetstream.write_health import WriteHealth
from pylon.jobs.job_service import JobOptions, JobService
from pylon.jobs.retry_policy import RetryPolicy
from pylon.jobs.signer_directory import SignerDirectory, announce_signers
from pylon.worker.identities import OpenedHotkeys
from pylon.worker.job_metrics import JobCollector, JobMetrics
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.jobs import Job
from pylon_client.nats.nats_connection import NatsConnection

JOBS_PART: Final = "jobs"


@dataclass
class SigningParts:
    """Executes the jobs of the identities whose hotkeys this worker has opened.

    Attributes:
        settings: settings of the worker.
        chain_writer: the chain to write to.
        connection: connection to NATS, as a user with JetStream.
        hotkeys: the opened hotkeys.
        signer_directory: signers of each identity in the deployment.
        supervisor: restarts failed parts.
        snapshots: provide the chain's head.
        metrics: metrics of the worker.
        job_metrics: observes each change of a job.
        write_health: records failed writes to JetStream.
    """

    settings: WorkerSettings
    chain_writer: SubtensorWriter
    connection: NatsConnection
    hotkeys: OpenedHotkeys
    signer_directory: SignerDirectory
    supervisor: TaskSupervisor
    snapshots: Snapshots
    metrics: WorkerMetrics
    job_metrics: JobMetrics
    write_health: WriteHealth

    def __post_init__(self) -> None:
        """Create the parts; none of them runs yet."""
        self._events = JobEventPublisher(self.connection)
        self.job_service = JobService(
            self.connection,
            job_options(self.settings),
            self.chain_writer,
            self.hotkeys.signers,
            self.signer_directory,
            self._announce,
            self.supervisor,
            self.write_health,
        )
        self._job_collector = JobCollector(
            self.metrics,
            self.job_service.identities,
            self.job_service.store,
            head=lambda: self.snapshots.head,
        )

    @property
    def parts(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """Return the parts to run by name."""
        publish = SignerEvents(self.connection).publish
        return {
            JOBS_PART: self.job_service.run,
            "count of jobs": self._job_collector.run,
            "signers": lambda: announce_signers(self.hotkeys.announcements, publish),
        }

    async def _announce(self, job: Job) -> None:
        self.job_metrics.observe(job)
        await self._events.publish(job)


def job_options(settings: WorkerSettings) -> JobOptions:
    """Return the options of jobs that a worker's settings define."""
    return JobOptions(
        netuids={name: one.netuid for name, one in settings.identity_settings.items()},
        ended_retention_days=settings.ended_jobs_kept_days,
        weights_retry=RetryPolicy(
            settings.weights_retry_attempts, settings.weights_retry_delay_seconds
        ),
        commitment_retry=RetryPolicy(
            settings.commitment_retry_attempts, settings.commitment_retry_delay_seconds
        ),
        unknown_hotkeys=settings.weights_unknown_hotkeys,
    )
