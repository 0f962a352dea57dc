"""`pylon watch`, beside a worker."""

import asyncio
import re
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pylon.events.job_event_publisher import JobEventPublisher
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.provision import provision_streams
from pylon.jobs.job_store import JobStore
from pylon.jobs.stored_job import JobRecord
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.topology import JOBS_BUCKET
from pylon_client.contract.types import IdentityName, JobId, JobKind, NetUid
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.product.deployment import token_of
from tests.support.product.eventually import HANGS_AFTER_S, eventually
from tests.support.product.process_output import append_output
from tests.support.product.pylon_command import (
    command_environment,
    pylon_argv,
    pylon_command,
)
from tests.support.product.running_worker import connected, worker_on

IDENTITY = {
    "PYLON_IDENTITIES": '["alice"]',
    "PYLON_ID_ALICE_NETUID": "1",
    "PYLON_ID_ALICE_TOKEN": token_of("alice"),
}


class Watching:
    """The output of a watching process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""

    async def read(self) -> None:
        assert self.process.stdout is not None
        while chunk := await self.process.stdout.read(4096):
            self.text += chunk.decode()


@asynccontextmanager
async def watching(folder: Path, nats_url: str, *arguments: str) -> AsyncGenerator[Watching]:
    environment = command_environment(folder, {"PYLON_NATS_URL": nats_url, **IDENTITY})
    process = await asyncio.create_subprocess_exec(
        *pylon_argv("watch", *arguments),
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        # Shells start background jobs, such as tests, with SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    seen = Watching(process)
    reading = asyncio.create_task(seen.read())
    try:
        yield seen
    finally:
        process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(HANGS_AFTER_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            raise
        await reading
    append_output(folder, seen.text.encode())
    assert process.returncode == 0, seen.text
    assert "Traceback" not in seen.text


async def test_blocks_and_neurons_are_shown_as_they_come(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
        worker_on(server.url, devnet.url, netuids=[2]),
        watching(tmp_path, server.url, "blocks") as blocks,
        watching(tmp_path, server.url, "neurons", "2") as neurons,
        watching(tmp_path, server.url, "neurons", "5") as untracked,
    ):
        await eventually(lambda: blocks.text.count("\n") >= 3)
        numbers = [int(line.split()[0]) for line in blocks.text.splitlines()]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        await eventually(lambda: neurons.text.count("\n") >= 2)
        assert re.search(
            r"^\d+ subnet 2: 16 neurons, \d+ with a permit", neurons.text, re.MULTILINE
        )
        await eventually(lambda: "Nothing is published about subnet 5" in untracked.text)
        assert re.search("published subnets: (2|none yet)", untracked.text)


async def test_jobs_and_their_changes_are_shown(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        connected(server.url) as connection,
    ):
        await provision_streams(connection)
        announce = JobEventPublisher(connection).publish
        store = JobStore(OrderedBucket(connection, JOBS_BUCKET), announce, ended_retention_days=1)
        job = Job(
            job_id=JobId("a" * 26),
            identity=IdentityName("alice"),
            netuid=NetUid(1),
            kind=JobKind.COMMITMENT,
            created_at_ms=1,
            updated_at_ms=1,
        )
        stored = await store.create(JobRecord(job=job, number=1, digest="", request={}))
        async with watching(tmp_path, server.url, "jobs") as seen:
            await eventually(lambda: "ACCEPTED" in seen.text)
            assert seen.text.startswith("a" * 26 + " alice on 1 commitment ACCEPTED ")
            await store.change(stored, JobState.SUPERSEDED)
            await eventually(lambda: "SUPERSEDED" in seen.text)
            assert seen.text.count("\n") == 2


@pytest.mark.parametrize("arguments", [["watch", "jobs"], ["watch", "blocks"], ["jobs", "ls"]])
async def test_an_unreachable_nats_is_reported_in_one_line(
    tmp_path: Path, arguments: list[str]
) -> None:
    ended = await pylon_command(
        tmp_path, {"PYLON_NATS_URL": "nats://127.0.0.1:1", **IDENTITY}, *arguments
    )
    assert ended.code == 1
    assert ended.err.startswith("pylon: NATS cannot be reached at 127.0.0.1:1")
    assert ended.err.count("\n") == 1
