"""Callers that hold many connections and streams do not affect others, in a real bridge."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from pylon.rpc.calls import ServiceCall
from pylon.rpc.request_server import RequestServer
from pylon_client.contract import json_codec
from pylon_client.contract.jobs import Job
from pylon_client.contract.operations import OPERATIONS_BY_NAME
from pylon_client.contract.types import IdentityName, JobId, JobKind, NetUid
from tests.support.nats.replicas import Nats
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.deployment import token_of
from tests.support.product.eventually import HANGS_AFTER_S, comes_true
from tests.support.product.secret_texts import secret_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDENTITIES = {"alice": 1, "sn2": 2}
METRICS_TOKEN = secret_of("metrics")
HALF_SENT = b"GET /api/v1/block/latest HTTP/1.1\r\nHost: bridge\r\nX-More: "
DESCRIPTORS = 300
HALF_SENT_HEADS = 285
STREAMS = 200
JOB_ID = JobId("a" * 26)
JOB_STREAM = f"/api/v1/identity/alice/subnet/1/jobs/{JOB_ID}/stream"
BLOCKS = "/api/v1/block/stream"
ALICE = {"Authorization": f"Bearer {token_of('alice')}"}


@pytest_asyncio.fixture(loop_scope="module")
async def worker(nats: Nats) -> AsyncGenerator[None]:
    """Start a worker that replies to every request with the same job."""
    job = Job(
        job_id=JOB_ID,
        identity=IdentityName("alice"),
        netuid=NetUid(1),
        kind=JobKind.COMMITMENT,
        mechanism=None,
        created_at_ms=1,
        updated_at_ms=1,
        count=1,
    )

    async def handler(_: ServiceCall) -> bytes:
        return json_codec.encode(job)

    identities = {IdentityName(name): NetUid(netuid) for name, netuid in IDENTITIES.items()}
    service = RequestServer(
        await nats.connect(),
        dict.fromkeys(OPERATIONS_BY_NAME, handler),
        identities=identities,
        max_requests=256,
    )
    await service.start()
    yield
    await service.drain(0)


@asynccontextmanager
async def bridge_of(
    folder: Path, nats: Nats, max_descriptors: int | None = None, **settings: str
) -> AsyncGenerator[BridgeProcess]:
    environment = bridge_environment(nats.url, IDENTITIES, metrics_token=METRICS_TOKEN, **settings)
    async with BridgeProcess(folder, environment, max_descriptors=max_descriptors) as bridge:
        await bridge.until("/health/ready", 200)
        yield bridge


async def refused(bridge: BridgeProcess) -> dict[str, float]:
    """Return the number of refused or closed connections, by reason."""
    response = await bridge.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    return {
        sample.labels["reason"]: sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if sample.name == "pylon_bridge_refused_connections_total"
    }


async def test_half_sent_requests_block_no_other_caller_and_are_closed(
    tmp_path: Path, nats: Nats, worker: None
) -> None:
    async with (
        bridge_of(tmp_path, nats, DESCRIPTORS) as bridge,
        httpx.AsyncClient(base_url=bridge.url, trust_env=False, timeout=HANGS_AFTER_S) as honest,
    ):
        url = httpx.URL(bridge.url)
        connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        for number in range(HALF_SENT_HEADS):
            connections.append(await asyncio.open_connection(url.host, url.port))
            connections[-1][1].write(HALF_SENT)
            if number % 50 == 0:
                assert (await honest.get("/api/v1/block/latest")).status_code == 200
        assert (await honest.get("/api/v1/block/latest")).status_code == 200
        assert (await bridge.get("/health")).status_code == 200
        assert "Closed or refused connections: made_room" in bridge.log
        closed = asyncio.gather(*(until_closed(reader) for reader, _ in connections))
        async with asyncio.timeout(HANGS_AFTER_S):
            ends = await closed
        for _, writer in connections:
            writer.close()
        by_reason = await refused(bridge)
        late = sum(end.startswith(b"HTTP/1.1 408 ") for end in ends)
        assert late == by_reason["head_timeout"] > 0
        assert late + by_reason["made_room"] == HALF_SENT_HEADS


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(ConnectionError):
        return await reader.read(-1)
    return b""


async def test_anonymous_listeners_leave_an_identity_its_streams(
    tmp_path: Path, nats: Nats, worker: None
) -> None:
    async with (
        bridge_of(tmp_path, nats, bridge_max_streams=str(STREAMS)) as bridge,
        AsyncExitStack() as stack,
    ):
        url = httpx.URL(bridge.url)
        request = f"GET {BLOCKS} HTTP/1.1\r\nHost: bridge\r\n\r\n".encode()
        listening = refusals = 0
        for _ in range(STREAMS + 1):
            reader, writer = await asyncio.open_connection(url.host, url.port)
            stack.callback(writer.close)
            writer.write(request)
            async with asyncio.timeout(HANGS_AFTER_S):
                status = (await reader.readline()).split()[1]
            listening += status == b"200"
            refusals += status == b"429"
        assert STREAMS // 2 < listening < STREAMS, "all but the shares of the identities"
        assert listening + refusals == STREAMS + 1
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=bridge.url, trust_env=False, timeout=HANGS_AFTER_S)
        )
        async with http.stream("GET", JOB_STREAM, headers=ALICE) as stream:
            assert stream.status_code == 200
            assert "event: job" in await anext(stream.aiter_lines())
        async with http.stream("GET", BLOCKS, headers=ALICE) as stream:
            assert stream.status_code == 200
        assert (await http.get("/api/v1/block/latest")).status_code == 200


async def test_an_identitys_job_streams_leave_others_their_share(
    tmp_path: Path, nats: Nats, worker: None
) -> None:
    async with (
        bridge_of(tmp_path, nats, bridge_max_streams="8") as bridge,
        AsyncExitStack() as stack,
        httpx.AsyncClient(base_url=bridge.url, trust_env=False, timeout=HANGS_AFTER_S) as http,
    ):
        statuses: list[int] = []
        for _ in range(8):
            opened = http.stream("GET", JOB_STREAM, headers=ALICE)
            statuses.append((await stack.enter_async_context(opened)).status_code)
        assert statuses == [200] * 6 + [429] * 2
        others = JOB_STREAM.replace("alice/subnet/1", "sn2/subnet/2")
        headers = {"Authorization": f"Bearer {token_of('sn2')}"}
        for _ in range(2):
            opened = http.stream("GET", others, headers=headers)
            assert (await stack.enter_async_context(opened)).status_code == 200


async def test_connections_up_to_the_limit_are_served(
    tmp_path: Path, nats: Nats, worker: None
) -> None:
    async with (
        bridge_of(tmp_path, nats, bridge_max_connections="20") as bridge,
        AsyncExitStack() as stack,
    ):
        url = httpx.URL(bridge.url)
        for _ in range(100):
            _, writer = await asyncio.open_connection(url.host, url.port)
            stack.callback(writer.close)
            writer.write(HALF_SENT)

        async def made_room() -> bool:
            return (await refused(bridge)).get("made_room", 0) >= 80

        await comes_true(made_room)
        assert (await bridge.get("/api/v1/block/latest")).status_code == 200
