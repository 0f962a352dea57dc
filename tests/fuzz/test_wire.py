"""Send thousands of mostly invalid messages to every subject and stream of a worker.

Each message gets a reply, or a named rule explains why not; the worker keeps working. The variable
`PYLON_FUZZ_SEED` selects other messages.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import httpx
import pytest
from nats.js.errors import NotFoundError

from pylon.nats_server.permissions import authorization_config
from pylon_client.contract.event_replay import PUBLISHED_BLOCK
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import ENDED, JobState
from pylon_client.contract.reads import LATEST_BLOCK, LATEST_NEURONS
from pylon_client.contract.subjects import BLOCK_EVENTS, WORKER_USER
from pylon_client.contract.topology import JOB_QUEUE
from pylon_client.events.feed import EventFeed, event_log_via_worker
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings
from tests.support.product.eventually import comes_true
from tests.support.product.free_ports import free_ports
from tests.support.product.job_deployment import (
    SUBNETS,
    Deployment,
    ended,
    make_wallets,
    weights_of,
)
from tests.support.product.secret_texts import secret_of
from tests.support.product.sizes import sized
from tests.support.wire.wire_corpus import Corpus
from tests.support.wire.wire_fuzz import Flood, rss_bytes
from tests.support.wire.wire_outcomes import Outcome
from tests.support.wire.wire_streams import StreamCorpus

SEED = int(os.environ.get("PYLON_FUZZ_SEED", "1"))
MESSAGES = sized(usual=10_000, full=100_000)
STREAM_MESSAGES = MESSAGES // 20
WINDOWS = 10
BLOCKS_AHEAD_MAX = 100
MESSAGES_PER_BLOCK = 1_000
UNREADABLE_ANNOUNCEMENT = "Ignored unreadable announcements of a signer"
GROWTH_MAX_BYTES = 32 * 1024 * 1024
"""Maximum growth of a worker's memory from the first windows to the last, without its read cache,
which grows with the number of blocks. At full size, a leak of 400 bytes per message exceeds it."""
METRICS_TOKEN = secret_of("metrics")
CACHE_BYTES = re.compile(r"^pylon_read_cache_bytes (\S+)$", re.MULTILINE)


@pytest.fixture
async def deployment(tmp_path: Path, sdk_home: Path) -> AsyncGenerator[Deployment]:
    options = DevnetOptions(port=0, block_time_s=1, tempo_blocks=2000, active=False)
    async with Devnet(options) as devnet:
        make_wallets(tmp_path, devnet)
        # The flood's commitments must leave space for later ones.
        devnet.set_storage("Commitments", "MaxSpace", [], 1_000_000)
        rules = authorization_config(deployment_settings(identities=SUBNETS))
        async with NatsServer(tmp_path, rules) as server:
            yield Deployment(tmp_path, server, devnet)


@pytest.mark.slow
async def test_each_message_is_answered_or_ignored_by_a_named_rule(deployment: Deployment) -> None:
    corpus = Corpus(SEED)
    settings = deployment_settings(identities=SUBNETS)
    (port,) = free_ports(1)
    settings_of_metrics = {"PYLON_HEALTH_PORT": str(port), "PYLON_METRICS_TOKEN": METRICS_TOKEN}
    async with (
        deployment.worker(**settings_of_metrics) as worker,
        Flood(deployment.nats.url, settings) as flood,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http,
    ):
        requests, memory_bytes = corpus.requests(MESSAGES), list[int]()

        async def measure() -> None:
            reply = await http.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
            cache_bytes = CACHE_BYTES.search(reply.text)
            assert cache_bytes is not None
            memory_bytes.append(rss_bytes(worker.process.pid) - int(float(cache_bytes[1])))

        async with paced(deployment.devnet, flood):
            for _ in range(WINDOWS):
                await flood.send(islice(requests, MESSAGES // WINDOWS))
                await measure()
            await flood.settle()  # before the newest event is garbage, which requests then return
            await flood.send(StreamCorpus(corpus).messages(STREAM_MESSAGES))
            await flood.settle()
        await measure()
        tally = flood.tally
        print(tally, [size // 1_000_000 for size in memory_bytes])  # noqa: T201 -- shown on failure
        assert tally.wrong == []
        assert tally.sent == MESSAGES + STREAM_MESSAGES
        # Every message had its expected outcome, and no other.
        assert tally.outcomes[Outcome.DENIED] == tally.denials
        answers = tally.codes.total() + tally.stored.total()
        assert tally.outcomes[Outcome.ANSWERED] == answers
        assert set(tally.outcomes) == set(Outcome)
        assert tally.codes[ErrorCode.INTERNAL] == 0
        assert tally.codes[ErrorCode.OVERLOADED] <= MESSAGES // 100
        assert max(memory_bytes[-3:]) - min(memory_bytes[1:3]) < GROWTH_MAX_BYTES
        await still_works(deployment)
        assert worker.process.returncode is None
        assert worker.log.count("The worker is ready") == 1
        assert [line for line in worker.log.splitlines() if "ERROR" in line] == []
        assert "Traceback" not in worker.log
        assert worker.log.count(UNREADABLE_ANNOUNCEMENT) == len(SUBNETS)


@asynccontextmanager
async def paced(devnet: Devnet, flood: Flood) -> AsyncGenerator[None]:
    """Limit the chain to a block per MESSAGES_PER_BLOCK messages plus BLOCKS_AHEAD_MAX.

    A flooded worker publishes as fast as the machine allows. If it lagged by more than the 300
    blocks that it fills in, it would correctly report missed blocks.
    """

    async def limit_blocks() -> None:
        while True:
            allowed = BLOCKS_AHEAD_MAX + flood.tally.sent // MESSAGES_PER_BLOCK
            (devnet.resume if devnet.best_number < allowed else devnet.pause)()
            await asyncio.sleep(0.1)

    limiting = asyncio.create_task(limit_blocks())
    try:
        yield
    finally:
        limiting.cancel()
        await asyncio.wait({limiting})
        devnet.resume()


async def still_works(deployment: Deployment) -> None:
    """Assert that events arrive, reads succeed, and a job of each identity and kind ends."""
    url = deployment.nats.url
    async with _connected(url, None, "") as reader:
        blocks = event_log_via_worker(reader)
        async with EventFeed(reader, [BLOCK_EVENTS], blocks) as feed:
            first = await anext(feed)
            assert (await anext(feed)).block.number == first.block.number + 1
        await reader.request(f"pylon.v1.open.chain.{LATEST_BLOCK.name}")
        # Subscribers receive a block before the stream stores it, which garbage may delay.
        await comes_true(lambda: _is_published(reader))
        for netuid in SUBNETS.values():
            await reader.request(f"pylon.v1.open.{netuid}.{LATEST_NEURONS.name}")
    await asyncio.gather(*(writes_still_work(deployment, name) for name in SUBNETS))
    # The queue has no garbage left: the remaining messages are jobs that wait for the chain.
    await comes_true(lambda: _only_open_jobs_are_queued(deployment))


async def _is_published(reader: NatsConnection) -> bool:
    try:
        await reader.request(f"pylon.v1.open.chain.{PUBLISHED_BLOCK.name}")
    except FailureError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return False
    return True


async def _only_open_jobs_are_queued(deployment: Deployment) -> bool:
    open_jobs: set[str] = set()
    for name in SUBNETS:
        async with deployment.identity(name) as identity:
            listed = (await identity.get_jobs(limit=1000, state="open")).jobs
            open_jobs |= {job.job_id for job in listed if job.state not in ENDED}
    async with _connected(deployment.nats.url, WORKER_USER, WORKER_PASSWORD) as connection:
        context = connection.nats.jetstream()
        state = (await context.stream_info(JOB_QUEUE.name)).state
        queued: set[str] = set()
        for sequence in range(state.first_seq, state.last_seq + 1):
            with contextlib.suppress(NotFoundError):
                queued.add(
                    ((await context.get_msg(JOB_QUEUE.name, sequence)).data or b"").decode(
                        errors="replace"
                    )
                )
    return queued <= open_jobs


async def writes_still_work(deployment: Deployment, name: str) -> None:
    async with deployment.identity(name) as identity:
        weights = weights_of(deployment.devnet, SUBNETS[name], 5, 6)
        put = await identity.put_weights(weights)
        await identity.set_commitment("0xfeed")
        job = await ended(identity, put.job_id)
        assert job.state in {JobState.CONFIRMED, JobState.COMMITTED}
        assert job.job_id in {one.job_id for one in (await identity.get_jobs()).jobs}


@asynccontextmanager
async def _connected(url: str, user: str | None, password: str) -> AsyncGenerator[NatsConnection]:
    connection = await connect(ConnectionOptions(urls=(url,), user=user, password=password))
    yield connection
    await connection.close()
