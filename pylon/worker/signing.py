"""The parts of a worker that work on jobs: the office, the count of jobs, and its announcements."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from pylon.blocks.snapshots import Snapshots
from pylon.chain.subtensor_writer import Submission
from pylon.common.task_supervisor import Supervisor
from pylon.events.job_event_publisher import JobEvents
from pylon.events.signer_events import SignerEvents
from pylon.jetstream.write_health import WriteHealth
from pylon.jobs.job_service import JobOffice
from pylon.jobs.signer_directory import SignerDirectory, announce_signers
from pylon.worker.identities import OpenedHotkeys
from pylon.worker.job_metrics import JobCensus, JobMetrics
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.jobs import Job
from pylon_client.nats.nats_connection import Connection

JOBS: Final = "jobs"


@dataclass
class Signing:
    """Works on the jobs of the identities whose hotkeys this worker has opened.

    Attributes:
        settings: of the worker.
        submission: the chain to write to.
        connection: to NATS, as a user with JetStream.
        hotkeys: that sign.
        signers: which identities can be signed for in the whole deployment.
        supervisor: restarts what fails.
        snapshots: know the chain's head.
        metrics: of the worker.
        measured: records each change of a job.
        writes: records which writes JetStream stores.
    """

    settings: WorkerSettings
    submission: Submission
    connection: Connection
    hotkeys: OpenedHotkeys
    signers: SignerDirectory
    supervisor: Supervisor
    snapshots: Snapshots
    metrics: WorkerMetrics
    measured: JobMetrics
    writes: WriteHealth

    def __post_init__(self) -> None:
        """Begin with no job in progress."""
        self._events = JobEvents(self.connection)
        self.office = JobOffice(
            self.connection,
            self.settings,
            self.submission,
            self.hotkeys.signers,
            self.signers,
            self._announce,
            self.supervisor,
            self.writes,
        )
        self._census = JobCensus(
            self.metrics,
            self.office.identities,
            self.office.ledger,
            head=lambda: self.snapshots.head,
        )

    @property
    def parts(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """Return what runs, by its name."""
        publish = SignerEvents(self.connection).publish
        return {
            JOBS: self.office.run,
            "count of jobs": self._census.run,
            "signers": lambda: announce_signers(self.hotkeys.announcements, publish),
        }

    async def _announce(self, job: Job) -> None:
        self.measured.saw(job)
        await self._events.announce(job)
