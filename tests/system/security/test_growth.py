"""Many ended jobs slow down neither lists of jobs nor an idle worker."""

import asyncio
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from pylon.events.job_event_listener import subscribe_jobs
from pylon.jetstream.ordered_bucket import OrderedBucket
from pylon.jetstream.provision import provision_streams
from pylon.jetstream.work_queue import WorkQueue
from pylon.jobs.acceptor import JobAcceptor
from pylon.jobs.deadline_enforcer import DeadlineEnforcer
from pylon.jobs.executor import JobExecutor
from pylon.jobs.job_handlers import JobHandlers
from pylon.jobs.job_store import JobStore
from pylon.jobs.job_waiter import JobWaiter
from pylon.jobs.signer_directory import SignerDirectory
from pylon.nats_server.permissions import authorization_config
from pylon.rpc.request_server import RequestServer
from pylon.worker.job_metrics import JobCollector
from pylon.worker.metrics import WorkerMetrics
from pylon_client.contract.jobs import Job, JobList, JobState
from pylon_client.contract.subjects import WORKER_USER
from pylon_client.contract.topology import JOB_QUEUE, JOB_STORE, JOBS_BUCKET
from pylon_client.contract.types import IdentityName, JobId, JobKind, NetUid
from pylon_client.contract.writes import ListJobs
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from pylon_client.v1 import AsyncConfig, AsyncPylonClient
from tests.support.nats.nats_server import NatsServer
from tests.support.product.adversary import World
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings, token_of
from tests.support.product.ended_jobs import job_of, record_of, write_ended
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.fake_signers import signers_of
from tests.support.product.sizes import sized

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

FEW = IdentityName("few")
MANY = IdentityName("many")
SUBNETS = {str(FEW): 1, str(MANY): 2}
MANY_JOBS = sized(usual=20_000, full=100_000)
FEW_JOBS = 100
STILL_OPEN = 3
MIB = 2**20


async def not_announced(_: Job) -> None:
    pass


@dataclass
class Counted:
    """Messages and bytes that a connection has sent and received."""

    sent: int
    received: int
    received_bytes: int


@dataclass
class JobBackend:
    """The job handling of a worker over a real job store; counts its NATS messages."""

    connection: NatsConnection
    store: JobStore = field(init=False)
    acceptor: JobAcceptor = field(init=False)

    def __post_init__(self) -> None:
        self.process = World().process()
        self.store = JobStore(
            OrderedBucket(self.connection, JOBS_BUCKET), not_announced, ended_retention_days=7
        )
        queue = WorkQueue(self.connection)
        self.acceptor = JobAcceptor(self.store, queue, self.process, signers_of(FEW, MANY))

    async def count(self, work: Callable[[], Awaitable[object]]) -> Counted:
        stats = dict(self.connection.nats.stats)
        await work()
        now = self.connection.nats.stats
        return Counted(
            now["out_msgs"] - stats["out_msgs"],
            now["in_msgs"] - stats["in_msgs"],
            now["in_bytes"] - stats["in_bytes"],
        )

    async def idle(self, identity: IdentityName) -> None:
        """Run the periodic tasks of an idle worker for an identity once."""
        for kind in JobKind:
            await self.acceptor.requeue_open_jobs(identity, kind)
        await JobCollector(WorkerMetrics(), [identity], self.store, head=lambda: None).collect()
        executor = JobExecutor(self.store, self.process, self.process, {}, {})
        directory = SignerDirectory([identity], grace_s=0)
        enforcer = DeadlineEnforcer(self.store, self.process, executor, directory, [identity])
        await enforcer.check()

    async def open_ids(self, identity: IdentityName) -> set[JobId]:
        return {stored.job.job_id for stored in await self.store.open_jobs(identity)}


@dataclass
class Grown:
    """A large job store of an older version, and measurements of its growth.

    Attributes:
        idle_before: messages of an idle worker with few ended jobs.
        indexing: messages of the first list of the open jobs of the identity with many jobs.
        indexing_peak_bytes: peak memory of that list.
    """

    backend: JobBackend
    nats: NatsServer
    idle_before: Counted
    indexing: Counted
    indexing_peak_bytes: int


def reset_peak_memory() -> int:
    """Let the peak begin at the present memory of this process, and return that, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory_of_this_process("VmRSS")


def memory_of_this_process(field: str) -> int:
    """Return a size of this process in bytes: `VmRSS`, the present one, or `VmHWM`, the peak."""
    (line,) = [
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith(f"{field}:")
    ]
    return int(line.split()[1]) * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def grown(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Grown]:
    users = authorization_config(deployment_settings(identities=SUBNETS))
    folder = tmp_path_factory.mktemp("nats")
    # Without a sync of each write, which would take most of the time.
    async with NatsServer(folder, users, sync_interval="2m") as nats:
        options = ConnectionOptions(urls=(nats.url,), user=WORKER_USER, password=WORKER_PASSWORD)
        connection = await connect(options)
        await provision_streams(connection, (JOB_STORE, JOB_QUEUE))
        backend = JobBackend(connection)
        await write_ended(connection, FEW, range(FEW_JOBS))
        await backend.idle(FEW)
        idle_before = await backend.count(lambda: backend.idle(FEW))
        for number in range(STILL_OPEN):
            record = record_of(MANY, MANY_JOBS + number, JobState.WAITING)
            value = record.model_dump_json().encode()
            key = f"$KV.{JOBS_BUCKET}.job.{MANY}.{record.job.job_id}"
            await connection.nats.publish(key, value)
        await write_ended(connection, MANY, range(MANY_JOBS))
        # To trace each allocation would take most of the time of this file.
        memory_bytes = reset_peak_memory()
        indexing = await backend.count(lambda: backend.store.open_jobs(MANY))
        peak = memory_of_this_process("VmHWM") - memory_bytes
        yield Grown(backend, nats, idle_before, indexing, peak)
        await connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bridge(
    grown: Grown, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[BridgeProcess]:
    """Start a bridge, and a service that serves its job requests."""
    backend = grown.backend
    process = World().process()
    waits = JobWaiter(backend.store, partial(subscribe_jobs, backend.connection))
    handlers = JobHandlers(backend.acceptor, backend.store, signers_of(FEW, MANY), process, waits)
    netuids = {IdentityName(name): NetUid(netuid) for name, netuid in SUBNETS.items()}
    service = RequestServer(backend.connection, identities=netuids, max_requests=100)
    handlers.register(service)
    await service.start()
    environment = bridge_environment(grown.nats.url, SUBNETS)
    async with BridgeProcess(tmp_path_factory.mktemp("bridge"), environment) as running:
        await running.until("/health/ready", 200)
        yield running
    await service.drain(0)


async def listed(bridge: BridgeProcess, **query: str | int) -> httpx.Response:
    return await bridge.get(
        f"/api/v1/identity/{MANY}/subnet/{SUBNETS[str(MANY)]}/jobs",
        params=query,
        headers={"Authorization": f"Bearer {token_of(MANY)}"},
    )


async def test_a_job_store_of_an_older_version_is_indexed_once_in_little_memory(
    grown: Grown,
) -> None:
    assert grown.indexing.received >= MANY_JOBS
    assert grown.indexing_peak_bytes < 32 * MIB
    again = await grown.backend.count(lambda: grown.backend.store.open_jobs(MANY))
    assert again.received < 20
    open_ids = {job_of(MANY_JOBS + number) for number in range(STILL_OPEN)}
    assert await grown.backend.open_ids(MANY) == open_ids
    # Another worker that starts later does not read them either.
    another = JobBackend(grown.backend.connection)
    assert (await another.count(lambda: another.open_ids(MANY))).received < 20


async def test_an_idle_worker_sends_and_receives_no_more_for_many_ended_jobs(
    grown: Grown,
) -> None:
    few = await grown.backend.count(lambda: grown.backend.idle(FEW))
    assert (few.sent, few.received) == (grown.idle_before.sent, grown.idle_before.received)
    await grown.backend.idle(MANY)
    tracemalloc.start()
    many = await grown.backend.count(lambda: grown.backend.idle(MANY))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Each open job is read by the sweep of its kind and by the collector, and queued.
    assert many.sent <= few.sent + 3 * STILL_OPEN
    assert many.received <= few.received + 3 * STILL_OPEN
    assert many.received_bytes < few.received_bytes + 100_000
    assert peak < 4 * MIB


async def test_the_newest_of_many_jobs_are_listed_over_http(bridge: BridgeProcess) -> None:
    async with asyncio.timeout(HANGS_AFTER_S):
        response = await listed(bridge)
    assert response.status_code == 200
    page = JobList.model_validate_json(response.content)
    newest = range(MANY_JOBS + STILL_OPEN - 1, MANY_JOBS + STILL_OPEN - 101, -1)
    assert [job.job_id for job in page.jobs] == [job_of(number) for number in newest]
    assert page.next is not None
    second = JobList.model_validate_json((await listed(bridge, before=page.next, limit=3)).content)
    following = range(newest[-1] - 1, newest[-1] - 4, -1)
    assert [job.job_id for job in second.jobs] == [job_of(number) for number in following]
    of_open = JobList.model_validate_json((await listed(bridge, state="open")).content)
    assert len(of_open.jobs) == STILL_OPEN
    assert of_open.next is None
    assert (await listed(bridge, limit=1001)).status_code == 400
    assert (await listed(bridge, before="nonsense")).status_code == 400


async def test_all_pages_together_are_all_jobs(grown: Grown) -> None:
    seen: list[JobId] = []
    before: str | None = None
    while True:
        page = await grown.backend.store.page(MANY, ListJobs(limit=1000, before=before))
        seen += [stored.job.job_id for stored in page.jobs]
        before = page.next
        if before is None:
            break
    assert seen == [job_of(number) for number in range(MANY_JOBS + STILL_OPEN - 1, -1, -1)]


async def test_the_client_asks_for_pages(bridge: BridgeProcess) -> None:
    config = AsyncConfig(address=bridge.url, identity_name=MANY, identity_token=token_of(MANY))
    async with AsyncPylonClient(config) as client:
        first = await client.identity.get_jobs(limit=7)
        second = await client.identity.get_jobs(limit=7, before=first.next)
        ended = await client.identity.get_jobs(limit=1, state="ended")
    newest = MANY_JOBS + STILL_OPEN - 1
    listed = [job.job_id for job in first.jobs + second.jobs]
    assert listed == [job_of(number) for number in range(newest, newest - 14, -1)]
    assert [job.job_id for job in ended.jobs] == [job_of(MANY_JOBS - 1)]


@pytest.mark.parametrize("share", [1.0, 0.5, 0.01])
async def test_the_cost_of_a_page_does_not_depend_on_its_position(
    grown: Grown, share: float
) -> None:
    store = grown.backend.store
    first = await store.page(MANY, ListJobs(limit=1, state="ended"))
    assert first.next is not None
    newest = int(first.next.partition(".")[2])
    before = f"ended.{newest - int((1 - share) * MANY_JOBS)}"
    query = ListJobs(limit=100, before=before)
    cost = await grown.backend.count(lambda: store.page(MANY, query))
    assert cost.sent < 30
    assert cost.received < 10 * 100
