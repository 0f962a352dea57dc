"""Waiting requests of one caller do not use the capacity of other callers."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from pylon.common.admission import MAX_WAITING_PER_CALLER
from pylon.rpc.calls import ServiceCall
from pylon.rpc.request_server import RequestServer
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import JobList, JobState
from pylon_client.contract.operations import OPERATIONS_BY_NAME
from pylon_client.contract.reads import NEURONS_AT, RECENT_NEURONS
from pylon_client.contract.subjects import IdentitySubject, OpenSubject
from pylon_client.contract.types import IdentityName, NetUid
from pylon_client.contract.writes import LIST_JOBS, PUT_WEIGHTS, SET_COMMITMENT
from pylon_client.nats.nats_connection import NatsConnection
from pylon_client.nats.nats_reply import Reply
from pylon_devnet import Devnet, DevnetOptions
from tests.support.chain.devnet_control import ON_DEMAND_SETTINGS
from tests.support.nats.replicas import Nats
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.deployment import token_of
from tests.support.product.eventually import HANGS_AFTER_S, comes_true, eventually
from tests.support.product.job_deployment import SUBNETS, Deployment, make_wallets, weights_of
from tests.support.product.secret_texts import secret_of
from tests.support.product.worker_process import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

METRICS_TOKEN = secret_of("metrics")
SETTINGS = {
    **ON_DEMAND_SETTINGS,
    "PYLON_TRACKED_NETUIDS": "[1, 2]",
    "PYLON_HEALTH_PORT": "0",
    "PYLON_METRICS_TOKEN": METRICS_TOKEN,
    "PYLON_RECENT_OBJECTS_HARD_LIMIT_BLOCKS": "1000000",
}
COMMITMENTS = MAX_WAITING_PER_CALLER + 44
PUTS = 240
WAITS_S = 250.0
"""Timeout of the waiting requests, in seconds: close to the maximum of a worker."""
SLOW_CHAIN_S = 2 * WAITS_S
"""Delay of each response of the node, in seconds: no chain request can end during a test."""

T = TypeVar("T")


@pytest_asyncio.fixture(loop_scope="module")
async def devnet() -> AsyncGenerator[Devnet]:
    """Start a chain that makes blocks only on request, so that extrinsics stay pending."""
    async with Devnet(
        DevnetOptions(port=0, tempo_blocks=2000, active=False, autostart=False)
    ) as node:
        await node.advance(3)
        yield node


class Served:
    """A worker between NATS and a devnet, and connections of its callers."""

    def __init__(self, worker: WorkerProcess, nats: Nats, devnet: Devnet) -> None:
        self.worker = worker
        self.nats = nats
        self.devnet = devnet
        found = re.search(r"Health and metrics on (http://\S+)", worker.log)
        assert found is not None
        self._health_url = found[1]

    async def metric(self, name: str) -> float:
        authorization = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        async with httpx.AsyncClient(trust_env=False, timeout=HANGS_AFTER_S) as http:
            text = (await http.get(f"{self._health_url}/metrics", headers=authorization)).text
        families = text_string_to_metric_families(text)
        return sum(one.value for family in families for one in family.samples if one.name == name)

    async def waiting(self) -> float:
        return await self.metric("pylon_service_requests_waiting")

    async def open(self, connection: NatsConnection, netuid: int = 1) -> Reply:
        return await connection.request(str(OpenSubject(NetUid(netuid), RECENT_NEURONS.name)))

    def weights(self, name: str, *uids: int) -> bytes:
        return json_codec.encode({"weights": weights_of(self.devnet, SUBNETS[name], *uids)})


@pytest_asyncio.fixture(loop_scope="module")
async def served(tmp_path: Path, devnet: Devnet, nats: Nats) -> AsyncGenerator[Served]:
    make_wallets(tmp_path, devnet)
    async with Deployment(tmp_path, nats, devnet).worker(**SETTINGS) as worker:
        served = Served(worker, nats, devnet)
        caller = await nats.connect(user=None)

        async def is_published() -> bool:
            try:
                await served.open(caller)
            except FailureError as error:
                if error.code is not ErrorCode.NO_RECENT_SNAPSHOT:
                    raise
                return False
            return True

        await comes_true(is_published)
        yield served


async def as_identity(
    connection: NatsConnection, name: str, operation: str, body: bytes = b"", timeout_s: float = 60
) -> Reply:
    subject = str(IdentitySubject(IdentityName(name), operation))
    return await connection.request(subject, body, timeout_s=timeout_s)


async def assert_all_callers_answered(served: Served, names: Sequence[str]) -> None:
    """Assert that requests that need no chain succeed, for identities and open access."""
    for name in names:
        caller = await served.nats.connect(user=name)
        put = await as_identity(caller, name, PUT_WEIGHTS.name, served.weights(name, 3))
        listed = await as_identity(caller, name, LIST_JOBS.name)
        jobs = JobList.model_validate_json(listed.body).jobs
        assert json.loads(put.body)["job_id"] in {job.job_id for job in jobs}
    await served.open(await served.nats.connect(user=None))


async def ended(tasks: Sequence[asyncio.Task[Reply]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_waiting_commitments_do_not_use_up_request_slots(served: Served) -> None:
    sn1 = await served.nats.connect(user="sn1")
    body = json_codec.encode({"commitment": "0x0102"})
    waiting = [
        asyncio.create_task(as_identity(sn1, "sn1", SET_COMMITMENT.name, body, WAITS_S))
        for _ in range(COMMITMENTS)
    ]
    refused, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await comes_true(lambda: has(served.waiting(), MAX_WAITING_PER_CALLER))
    await assert_all_callers_answered(served, ["sn2", "sn12", "sn1"])
    refused, pending = await asyncio.wait(waiting, timeout=0)
    assert (len(refused), len(pending)) == (
        COMMITMENTS - MAX_WAITING_PER_CALLER,
        MAX_WAITING_PER_CALLER,
    )
    for one in refused:
        error = one.exception()
        assert isinstance(error, FailureError)
        assert error.code is ErrorCode.OVERLOADED
    # They end by the job's event.
    while pending:
        await served.devnet.advance(1)
        _, pending = await asyncio.wait(pending, timeout=0.2)
    assert all(one.exception() is None for one in waiting if one not in refused)


async def test_commitments_over_connections_closed_at_once_use_no_slots(
    served: Served, tmp_path: Path
) -> None:
    environment = bridge_environment(served.nats.url, SUBNETS)
    async with BridgeProcess(tmp_path, environment) as bridge, AsyncExitStack() as stack:
        await bridge.until("/health/ready", 200)
        body = b'{"commitment": "0x0102"}'
        head = (
            "POST /api/v1/identity/sn1/subnet/1/commitments HTTP/1.1\r\nHost: bridge\r\n"
            f"Authorization: Bearer {token_of('sn1')}\r\nX-Pylon-Timeout: {WAITS_S}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        url = httpx.URL(bridge.url)
        for _ in range(COMMITMENTS):
            _, writer = await asyncio.open_connection(url.host, url.port)
            writer.write(head.encode() + body)
            await writer.drain()
            writer.close()
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=bridge.url, trust_env=False, timeout=HANGS_AFTER_S)
        )
        put = await http.put(
            "/api/v1/identity/sn2/subnet/2/weights",
            headers={"Authorization": f"Bearer {token_of('sn2')}"},
            content=served.weights("sn2", 3),
        )
        assert put.status_code == 200
        assert (await http.get("/api/v1/subnet/1/block/recent/neurons")).status_code == 200
        await comes_true(lambda: has(served.waiting(), 0))
        await comes_true(lambda: has(served.metric("pylon_service_requests_in_progress"), 0))


async def test_a_slow_chain_does_not_delay_requests_that_do_not_need_it(served: Served) -> None:
    await assert_all_callers_answered(served, ["sn1", "sn2"])  # and the worker has connections
    methods = {method.partition(":")[0] for method in served.devnet.request_counts()}
    for method in methods:
        served.devnet.delay_method(method, SLOW_CHAIN_S)
    opened = await served.nats.connect(user=None)
    subject = str(OpenSubject(NetUid(1), NEURONS_AT.name))
    reads = [
        asyncio.create_task(
            opened.request(subject, json_codec.encode({"block_number": number}), timeout_s=WAITS_S)
        )
        for number in range(COMMITMENTS)
    ]
    await comes_true(lambda: has(served.waiting(), MAX_WAITING_PER_CALLER))
    for _ in range(3):
        await assert_all_callers_answered(served, ["sn1", "sn2", "sn12"])
        assert sum(not read.done() for read in reads) == MAX_WAITING_PER_CALLER, (
            "it waited for the chain"
        )
    await ended(reads)


async def test_slow_requests_leave_every_caller_its_share_of_slots(nats: Nats) -> None:
    gate = asyncio.Event()

    async def handler(_: ServiceCall) -> bytes:
        await gate.wait()
        return b"{}"

    identities = {IdentityName("sn1"): NetUid(1), IdentityName("sn2"): NetUid(2)}
    handlers = dict.fromkeys(OPERATIONS_BY_NAME, handler)
    service = RequestServer(await nats.connect(), handlers, identities=identities, max_requests=8)
    await service.start()
    anonymous = await nats.connect(user=None)
    subject = str(OpenSubject(NetUid(1), RECENT_NEURONS.name))
    floods = [asyncio.create_task(anonymous.request(subject, timeout_s=WAITS_S)) for _ in range(20)]
    await eventually(lambda: service.counts.overloaded + service.in_progress == len(floods))
    assert service.in_progress > 1  # its own share, and the shared half
    for name in ("sn1", "sn2"):
        in_progress = service.in_progress + 1
        caller = await nats.connect(user=name)
        floods.append(asyncio.create_task(as_identity(caller, name, LIST_JOBS.name)))
        await eventually(lambda in_progress=in_progress: service.in_progress == in_progress)
    gate.set()
    assert [(await one).body for one in floods[-2:]] == [b"{}", b"{}"]
    await ended(floods)
    await service.drain(0)


async def test_distinct_puts_of_one_identity_at_once_are_all_accepted(served: Served) -> None:
    sn2 = await served.nats.connect(user="sn2")
    [weighted] = weights_of(served.devnet, 2, 3)
    bodies = [
        json_codec.encode({"weights": {weighted: float(number)}}) for number in range(1, PUTS + 1)
    ]
    answers = await asyncio.gather(
        *(as_identity(sn2, "sn2", PUT_WEIGHTS.name, body, WAITS_S) for body in bodies)
    )
    assert len({json.loads(answer.body)["job_id"] for answer in answers}) == PUTS
    listed = await as_identity(sn2, "sn2", LIST_JOBS.name)
    jobs = JobList.model_validate_json(listed.body).jobs
    left = [job for job in jobs if job.state is not JobState.SUPERSEDED]
    assert len(left) <= 2  # the newest, and one that was being submitted


async def has(value: Awaitable[T], expected: T) -> bool:
    return await value == expected
