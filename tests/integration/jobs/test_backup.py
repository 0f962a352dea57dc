"""A backup of jobs in progress, restored to an empty NATS, repeats no write."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from pylon.cli.backup import state_access
from pylon.cli.backup.backup_file import (
    BackupEntry,
    BackupError,
    BackupFile,
    create_private_file,
    write_archive,
)
from pylon.cli.backup.backup_run import restore
from pylon.cli.backup.job_store_copy import JobStoreCopy
from pylon.events.signer_events import SignerEvents
from pylon.jobs.signer_directory import SignerAnnouncement
from pylon.nats_server.permissions import authorization_config
from pylon.worker.settings import WorkerSettings
from pylon_client.contract import json_codec
from pylon_client.contract.jobs import IN_FLIGHT
from pylon_client.v1 import ErrorCode, IdentityName, JobId, JobState, PylonNotFound
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.replicas import Nats
from tests.support.product.deployment import deployment_settings
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.job_deployment import (
    SUBNETS,
    Deployment,
    ended,
    is_deferred,
    make_wallets,
    signing_settings,
    wait_until,
    weights_of,
)
from tests.support.product.pylon_command import pylon_command
from tests.support.product.secret_texts import with_keys


def new_nats(folder: Path, name: str) -> NatsServer:
    return NatsServer(
        folder, authorization_config(deployment_settings(identities=SUBNETS)), name=name
    )


def variables(folder: Path, devnet: Devnet, nats_url: str) -> dict[str, str]:
    wallets = {name: name for name in SUBNETS}
    return signing_settings(folder / "wallets", SUBNETS, wallets) | {
        "PYLON_BITTENSOR_NETWORK": with_keys(devnet.url),
        "PYLON_BITTENSOR_ARCHIVE_NETWORK": "",
        "PYLON_NATS_URL": nats_url,
    }


@dataclass(frozen=True)
class Put:
    """Jobs at the moment of a backup.

    Attributes:
        done: executed, with the idempotency key "done".
        deferred: waits for a rate limit, and is executed after the backup.
        in_flight: in a block that is finalized only after the backup.
        later: accepted and executed after the backup.
    """

    done: JobId
    deferred: JobId
    in_flight: JobId
    later: JobId


async def back_up_midway(folder: Path, devnet: Devnet) -> Put:
    """Put jobs, make a backup, let the jobs end, and kill everything but the chain."""
    async with new_nats(folder, "first") as server:
        deployment = Deployment(folder, Nats(server), devnet)
        async with (
            deployment.worker() as worker,
            deployment.identity("sn1") as sn1,
            deployment.identity("sn2") as sn2,
            deployment.identity("sn12") as sn12,
        ):
            done = await sn2.put_weights(weights_of(devnet, 2, 3), idempotency_key="done")
            await ended(sn2, done.job_id)
            await ended(sn1, (await sn1.put_weights(weights_of(devnet, 1, 3))).job_id)
            devnet.set_hyperparameter(1, "WeightsSetRateLimit", 1500)
            await devnet.advance(2)
            deferred = await sn1.put_weights(weights_of(devnet, 1, 4))
            await wait_until(sn1, deferred.job_id, is_deferred)
            devnet.stall_finality()
            timelocked = await sn12.put_weights(weights_of(devnet, 12, 3))
            await wait_until(sn12, timelocked.job_id, lambda job: job.state in IN_FLIGHT)
            backup = await pylon_command(
                folder, variables(folder, devnet, server.url), "backup", "jobs.zip"
            )
            assert backup.code == 0, backup.err
            assert devnet.chain.genesis_hash.hex() in backup.err
            devnet.resume_finality()
            devnet.set_hyperparameter(1, "WeightsSetRateLimit", 0)
            assert (await ended(sn12, timelocked.job_id)).state is JobState.COMMITTED
            assert (await ended(sn1, deferred.job_id)).state is JobState.CONFIRMED
            later = await sn2.put_weights(weights_of(devnet, 2, 5))
            assert (await ended(sn2, later.job_id)).state is JobState.CONFIRMED
            await worker.kill()
            await server.kill()
    return Put(done.job_id, deferred.job_id, timelocked.job_id, later.job_id)


async def test_restored_jobs_end_and_none_is_submitted_twice(
    tmp_path: Path,
) -> None:
    options = DevnetOptions(port=0, block_time_s=0.2, tempo_blocks=2000, active=False)
    async with Devnet(options) as devnet, new_nats(tmp_path, "second") as server:
        make_wallets(tmp_path, devnet)
        put = await back_up_midway(tmp_path, devnet)
        deployment = Deployment(tmp_path, Nats(server), devnet)
        applied = deployment.applied()
        path = tmp_path / "jobs.zip"
        assert path.stat().st_mode & 0o777 == 0o600
        await refuse_another_chain(tmp_path, devnet, server.url)
        settings = variables(tmp_path, devnet, server.url)
        restored = await pylon_command(tmp_path, settings, "restore", "jobs.zip")
        assert restored.code == 0, restored.err
        async with (
            deployment.worker(),
            deployment.identity("sn1") as sn1,
            deployment.identity("sn2") as sn2,
            deployment.identity("sn12") as sn12,
        ):
            assert (await ended(sn12, put.in_flight)).state is JobState.COMMITTED
            unsent = await ended(sn1, put.deferred)
            assert unsent.state is JobState.FAILED
            assert unsent.last_error is not None
            assert unsent.last_error.code is ErrorCode.OUTCOME_UNKNOWN
            assert "Restored from a backup" in unsent.last_error.detail
            same = await sn2.put_weights(weights_of(devnet, 2, 3), idempotency_key="done")
            assert same.job_id == put.done
            assert (await ended(sn2, put.done)).state is JobState.CONFIRMED
            with pytest.raises(PylonNotFound):
                await sn2.get_job(put.later)
            assert deployment.applied() == applied
            new = await sn1.put_weights(weights_of(devnet, 1, 4))
            assert (await ended(sn1, new.job_id)).state is JobState.CONFIRMED
            assert deployment.applied() == applied + 1


async def refuse_another_chain(folder: Path, devnet: Devnet, nats_url: str) -> None:
    """Assert that a backup is not restored for a chain with another genesis."""
    options = DevnetOptions(port=0, block_time_s=60, seed=2, autostart=False)
    async with Devnet(options) as other:
        settings = variables(folder, other, nats_url)
        ended = await pylon_command(folder, settings, "restore", "jobs.zip")
        assert ended.code == 1
        assert devnet.chain.genesis_hash.hex() in ended.err
        assert other.chain.genesis_hash.hex() in ended.err
        assert "Traceback" not in ended.err


async def test_a_restore_requires_stopped_workers_and_replace_for_existing_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_access, "LISTEN_S", 1.0)
    settings = WorkerSettings.model_construct(
        nats_url="", nats_worker_password=deployment_settings().nats_worker_password
    )
    progress: list[str] = []
    path = await _small_backup(tmp_path)
    async with new_nats(tmp_path, "nats") as server:
        nats = Nats(server)
        settings.nats_url = server.url
        connection = await nats.connect()

        async def announce() -> None:
            body = json_codec.encode(SignerAnnouncement(hotkey=None, cause="none", problem="none"))
            while True:
                await SignerEvents(connection).publish(IdentityName("sn2"), body)
                await asyncio.sleep(0.05)

        async def attempt(*, replace: bool = False) -> str:
            backup = BackupFile(path, "jobs.zip")
            async with asyncio.timeout(HANGS_AFTER_S):
                return await restore(
                    settings, None, backup, progress.append, replace=replace, check_chain=False
                )

        announcing = asyncio.create_task(announce())
        with pytest.raises(BackupError, match="workers run, for sn2: stop every worker"):
            await attempt(replace=True)
        announcing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await announcing
        assert "1 entries of the backup" in await attempt()
        with pytest.raises(BackupError, match="there are jobs already: add --replace"):
            await attempt()
        assert "1 entries of the backup" in await attempt(replace=True)
        assert progress == ["1 of 1 entries written"] * 2
        # A worker that started meanwhile has written first.
        entries = BackupFile(path, "jobs.zip").entries()
        with pytest.raises(BackupError, match=r"lane\.sn1\.weights was written meanwhile"):
            await JobStoreCopy(connection).import_entries(
                entries, ended_retention_days=7, on_progress=lambda _: None
            )
        await connection.close()


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ({}, "Set PYLON_NATS_WORKER_PASSWORD"),
        (
            {"PYLON_NATS_WORKER_PASSWORD": "zq7xk"},
            "does not accept this token for the user 'worker'",
        ),
    ],
)
async def test_a_backup_requires_the_password_of_workers(
    tmp_path: Path, password: dict[str, str], says: str
) -> None:
    async with new_nats(tmp_path, "nats") as server:
        settings = {"PYLON_NATS_URL": server.url} | password
        ended = await pylon_command(tmp_path, settings, "backup", "jobs.zip")
    assert (ended.code, ended.err.count("\n")) == (1, 1), ended
    assert says in ended.err
    assert not (tmp_path / "jobs.zip").exists()


async def test_the_state_of_a_stopped_pylon_is_backed_up_and_restored(
    tmp_path: Path,
) -> None:
    path = await _small_backup(tmp_path)
    here = {"PYLON_HOME": "new-home"}
    into = await pylon_command(tmp_path, here, "restore", path.name, "--no-chain-check")
    assert into.code == 0, into.err
    # --home takes precedence over PYLON_NATS_URL.
    other_nats = {"PYLON_NATS_URL": "nats://127.0.0.1:1"}
    out = await pylon_command(tmp_path, other_nats, "backup", "copy.zip", "--home", "new-home")
    assert out.code == 0, out.err
    copy = BackupFile(tmp_path / "copy.zip", "copy.zip")
    assert list(copy.entries()) == list(BackupFile(path, path.name).entries())
    assert copy.manifest.genesis == "0x01"
    # A folder without state is an error, not an empty state.
    elsewhere = await pylon_command(tmp_path, here, "backup", "devnet.zip", "--devnet")
    assert elsewhere.code == 1
    assert f"there is no state in {tmp_path / 'new-home' / 'devnet'}" in elsewhere.err
    assert not (tmp_path / "devnet.zip").exists()


async def _small_backup(folder: Path) -> Path:
    path = folder / "small.zip"
    with (
        create_private_file(path) as file,
        write_archive(file, genesis="0x01", stream="KV_pylon_jobs", made_at="2026-01-01") as writer,
    ):
        writer.add(BackupEntry("lane.sn1.weights", b'{"number": 3}'))
    return path
