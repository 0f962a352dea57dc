"""The walk of an SRE: probes, faults, backups, a stop and a start."""

import asyncio
import os
import re
import signal
from pathlib import Path

import httpx

from pylon.cli.backup.backup_file import BackupFile
from pylon_client.v1 import JobState
from tests.support.product.eventually import HANGS_AFTER_S, comes_true
from tests.support.product.product import processes_under
from tests.support.product.walk import NEURONS, Steps, Walk, problem

step = SRE = Steps("SRE")

PARTS = {"worker": "pylon worker", "bridge": "-m bridge", "NATS": "nats-server"}


async def kill(walk: Walk, part: str) -> None:
    """Kill a process of the tree, and wait until the supervisor has replaced it."""
    before = walk.product.child(PARTS[part])
    os.kill(before, signal.SIGKILL)

    async def is_another() -> bool:
        under = processes_under(walk.product.process.pid)
        return any(re.search(PARTS[part], command) for command in under.values() if command) and (
            before not in under
        )

    await comes_true(is_another)


async def best(walk: Walk) -> int:
    """Return the number of the latest block; 0 if it is not available."""
    response = await walk.get("/api/v1/block/latest")
    return int(response.json()["number"]) if response.is_success else 0


async def grows(walk: Walk, beyond: int) -> None:
    """Wait until the latest neurons are of a later block."""

    async def is_later() -> bool:
        try:
            response = await walk.get(NEURONS)
        except httpx.HTTPError:
            return False
        return response.is_success and response.json()["block"]["number"] > beyond

    await comes_true(is_later)


@step("the worker is alive")
async def _(walk: Walk) -> None:
    assert (await walk.worker_get("/livez")).status_code == 200


@step("the worker is ready")
async def _(walk: Walk) -> None:
    async def is_ready() -> bool:
        return (await walk.worker_get("/readyz")).status_code == 200

    await comes_true(is_ready)


@step("the worker's metrics show that it is the publisher")
async def _(walk: Walk) -> None:
    assert re.search(
        r"^pylon_publisher_leader 1\.0$", await walk.metrics(walk.worker_url), re.MULTILINE
    )


@step("the head of the chain grows in the metrics")
async def _(walk: Walk) -> None:
    async def head() -> float:
        found = re.search(
            r"^pylon_chain_head_block (\S+)$", await walk.metrics(walk.worker_url), re.MULTILINE
        )
        assert found
        return float(found[1])

    first = await head()

    async def is_higher() -> bool:
        return await head() > first

    await comes_true(is_higher)


@step("jobs that ended are counted by their states")
async def _(walk: Walk) -> None:
    text = await walk.metrics(walk.worker_url)
    assert re.search(r'pylon_job_transitions_total{kind="weights",state="CONFIRMED"} [1-9]', text)


@step("both processes are connected to NATS")
async def _(walk: Walk) -> None:
    for url in (walk.product.url, walk.worker_url):
        assert re.search(r"^pylon_nats_connected.* 1\.0$", await walk.metrics(url), re.MULTILINE)


@step("the metrics of each process have its version")
async def _(walk: Walk) -> None:
    for url in (walk.product.url, walk.worker_url):
        assert "pylon_build_info{" in await walk.metrics(url)


@step("the worker's metrics require the token")
async def _(walk: Walk) -> None:
    assert (await walk.worker_get("/metrics")).status_code in {401, 403}


@step("only the owner can read files with secrets")
async def _(walk: Walk) -> None:
    home = walk.product.folder / "home"
    for path in (home / "running.json", home / "devnet" / "nats" / "nats.conf"):
        assert path.stat().st_mode & 0o777 == 0o600


@step("a killed bridge is restarted")
async def _(walk: Walk) -> None:
    await kill(walk, "bridge")
    await grows(walk, 0)


@step("a killed worker is restarted, and publishing continues")
async def _(walk: Walk) -> None:
    before = await best(walk)
    await kill(walk, "worker")
    await grows(walk, before + 2)


@step("a killed NATS is restarted, and publishing continues")
async def _(walk: Walk) -> None:
    before = await best(walk)
    await kill(walk, "NATS")
    await grows(walk, before + 2)


@step("no confirmed job is lost by the restarts")
async def _(walk: Walk) -> None:
    async with walk.client("sn2") as client:
        assert (await client.identity.get_job(walk.job("weights"))).state is JobState.CONFIRMED


@step("the log names the killed processes")
async def _(walk: Walk) -> None:
    for name in ("worker", "bridge", "NATS"):
        assert re.search(rf"{name} ended with code", walk.product.output), name


@step("without the chain, reads fail with 502 or 504, and recent neurons are served")
async def _(walk: Walk) -> None:
    walk.seen["best"] = await best(walk)
    await walk.control("/refuse-connections", seconds=4)
    await walk.control("/drop-connections")
    headers = {"X-Pylon-Timeout": "2"}
    failed = await walk.get("/api/v1/subnet/1/block/7/hyperparameters", headers=headers)
    recent = await walk.get("/api/v1/subnet/1/block/recent/neurons")
    assert failed.status_code in {502, 504}
    assert recent.status_code == 200


@step("the chain is used again as soon as it is back")
async def _(walk: Walk) -> None:
    await grows(walk, walk.seen["best"] + 8)


@step("a backup is made while everything runs")
async def _(walk: Walk) -> None:
    ended = await walk.command("backup", "running.zip")
    assert ended.code == 0, ended
    assert (walk.product.folder / "running.zip").stat().st_mode & 0o777 == 0o600


@step("the backup contains the jobs and the genesis hash of their chain")
async def _(walk: Walk) -> None:
    backup = BackupFile(walk.product.folder / "running.zip", "running.zip")
    keys = {entry.key for entry in backup.entries()}
    assert f"job.sn2.{walk.seen['weights']}" in keys
    assert backup.manifest.genesis is not None


@step("a backup does not overwrite another")
async def _(walk: Walk) -> None:
    ended = await walk.command("backup", "running.zip")
    assert (ended.code, "exists already" in ended.err) == (1, True)


@step("a restore is refused while everything runs")
async def _(walk: Walk) -> None:
    ended = await walk.command("restore", "running.zip", "--replace")
    assert (ended.code, "stop it, then restore" in ended.err) == (1, True)


@step("a damaged backup is refused")
async def _(walk: Walk) -> None:
    content = (walk.product.folder / "running.zip").read_bytes()
    (walk.product.folder / "cut.zip").write_bytes(content[:-40])
    ended = await walk.command("restore", "cut.zip")
    assert (ended.code, "cut.zip is damaged" in ended.err) == (1, True)


@step("a signal stops everything with exit code 0")
async def _(walk: Walk) -> None:
    walk.seen["children"] = list(processes_under(walk.product.process.pid))
    walk.seen["best"] = await best(walk)
    assert await walk.product.stop() == 0


@step("no process is left behind")
async def _(walk: Walk) -> None:
    async with asyncio.timeout(HANGS_AFTER_S):
        while [pid for pid in walk.seen["children"] if (Path("/proc") / str(pid)).exists()]:
            await asyncio.sleep(0.05)


@step("the passwords of the run are removed from the home")
async def _(walk: Walk) -> None:
    assert not (walk.product.folder / "home" / "running.json").exists()


@step("a backup is restored into an empty home while everything is stopped")
async def _(walk: Walk) -> None:
    ended = await walk.command("restore", "running.zip", "--devnet", PYLON_HOME="new-home")
    assert ended.code == 0, ended


@step("the restored home has the same jobs")
async def _(walk: Walk) -> None:
    ended = await walk.command("backup", "again.zip", "--devnet", PYLON_HOME="new-home")
    assert ended.code == 0, ended
    folder = walk.product.folder
    keys = {
        name: {entry.key for entry in BackupFile(folder / name, name).entries()}
        for name in ("running.zip", "again.zip")
    }
    assert keys["running.zip"] == keys["again.zip"]


@step("`pylon up` starts again with the same home")
async def _(walk: Walk) -> None:
    await walk.product.start()
    assert "Pylon is ready" in walk.product.output


@step("the chain continues from its last block")
async def _(walk: Walk) -> None:
    await grows(walk, walk.seen["best"])


@step("earlier jobs are still stored")
async def _(walk: Walk) -> None:
    async with walk.client("sn2", over_nats=True) as client:
        job = await client.identity.get_job(walk.job("weights"))
    assert (job.state, job.included_block) == (JobState.CONFIRMED, walk.seen["included"])


@step("the same idempotency key is still the same job")
async def _(walk: Walk) -> None:
    neurons = (await walk.get(NEURONS)).json()["neurons"]
    body = {"weights": dict.fromkeys(list(neurons)[1:3], 0.5)}
    path = "/api/v1/identity/sn1/subnet/1/weights"
    headers = {"Idempotency-Key": "epoch-1"}
    response = await walk.send("PUT", path, "sn1", json=body, headers=headers)
    assert response.json()["job_id"] == walk.seen["of_validator"]


@step("a cancelled job stays cancelled")
async def _(walk: Walk) -> None:
    async with walk.client("sn1") as client:
        assert (await client.identity.get_job(walk.job("newer"))).state is JobState.CANCELLED


@step("a job that does not exist is still not found")
async def _(walk: Walk) -> None:
    path = f"/api/v1/identity/sn1/subnet/1/jobs/{'b' * 26}"
    problem(await walk.get(path, "sn1"), 404, "NOT_FOUND")
