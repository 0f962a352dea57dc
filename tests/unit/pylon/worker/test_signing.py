"""The signing parts of a worker."""

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pylon.blocks.snapshots import Snapshots
from pylon.common.task_supervisor import TaskSupervisor
from pylon.jetstream.write_health import WriteHealth
from pylon.jobs.signer_directory import SignerDirectory
from pylon.jobs.unknown_hotkeys import UnknownHotkeyPolicy
from pylon.worker import signing
from pylon.worker.identities import OpenedHotkeys
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.settings import WorkerSettings
from pylon.worker.signing import JOBS_PART, SigningParts, job_options
from tests.support.nats.fake_connection import FakeConnection, as_connection
from tests.support.product.job_deployment import signing_settings
from tests.support.product.sample_jobs import sample_job

if TYPE_CHECKING:
    from pylon_client.contract.jobs import Job


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WorkerSettings:
    for name, value in signing_settings(tmp_path, {"sn1": 1}, {"sn1": "sn1"}).items():
        monkeypatch.setenv(name, value)
    return WorkerSettings()


def test_the_settings_define_the_options_of_jobs(
    monkeypatch: pytest.MonkeyPatch, settings: WorkerSettings
) -> None:
    monkeypatch.setattr(signing, "RetryPolicy", lambda *arguments: arguments)
    chosen = settings.model_copy(
        update={
            "weights_retry_attempts": 7,
            "weights_retry_delay_seconds": 1.5,
            "commitment_retry_attempts": 8,
            "commitment_retry_delay_seconds": 2.5,
            "ended_jobs_kept_days": 9,
            "weights_unknown_hotkeys": UnknownHotkeyPolicy.DROP,
        }
    )
    options = job_options(chosen)
    assert options.netuids == {"sn1": 1}
    assert options.weights_retry == (7, 1.5)
    assert options.commitment_retry == (8, 2.5)
    assert options.ended_retention_days == 9
    assert options.unknown_hotkeys is UnknownHotkeyPolicy.DROP


async def test_every_change_of_a_job_is_measured_and_published(settings: WorkerSettings) -> None:
    connection = FakeConnection()
    measured: list[Job] = []
    parts = SigningParts(
        settings,
        cast("Any", None),
        as_connection(connection),
        OpenedHotkeys({}, {}),
        SignerDirectory(settings.identity_settings, grace_s=0),
        TaskSupervisor(),
        Snapshots(max_silence_s=60),
        WorkerMetrics(),
        cast("Any", SimpleNamespace(observe=measured.append)),
        WriteHealth(),
    )
    assert set(parts.parts) == {JOBS_PART, "count of jobs", "signers"}
    job = sample_job()
    await parts.job_service.store._on_change(job)
    assert measured == [job]
    assert [subject for subject, _ in connection.published] == [
        f"pylon.v1.event.job.sn1.{job.job_id}"
    ]
