import asyncio
import json
from collections.abc import Mapping

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import Mount, Route

from bridge.http_metrics import BridgeMetrics
from bridge.main import create_app
from bridge.memory.memory_reads import MemoryReads, MemoryReply
from bridge.routes.unstable_routes import needs_no_token, unstable_paths
from bridge.settings import BridgeSettings
from pylon_client.contract import headers as wire_headers
from pylon_client.contract.operations import OPERATIONS, Operation, Params, Scope
from pylon_client.contract.reads import IDENTITIES
from pylon_client.contract.subjects import IdentitySubject, OpenSubject, parse_subject
from pylon_client.contract.types import BlockNumber, IdentityName, NetUid
from pylon_client.nats.nats_reply import Reply
from tests.support.chain.fake_chain import block_of
from tests.support.nats.scripted_nats import (
    OPEN_TOKEN,
    SN1_TOKEN,
    ScriptedNats,
    bridge_app,
    bridge_client,
)

LATEST = "/api/v1/block/latest"
AT_8 = "/api/v1/subnet/1/block/8/neurons"
SUBNET, HELD_BLOCK = NetUid(1), 7


@pytest.mark.parametrize(
    ("path", "subject", "body"),
    [
        ("/api/v1/block/latest", "pylon.v1.open.chain.block.latest", {}),
        (
            "/api/v1/subnet/65535/block/latest/neurons",
            "pylon.v1.open.65535.neurons.latest",
            {},
        ),
        (
            "/api/v1/subnet/0/block/4294967295/neurons",
            "pylon.v1.open.0.neurons.at",
            {"block_number": 4294967295},
        ),
        (
            "/api/v1/identity/sn1/subnet/1/block/latest/neurons",
            "pylon.v1.identity.sn1.neurons.latest",
            {},
        ),
        (
            "/api/v1/identity/sn1/subnet/1/block/0/neurons",
            "pylon.v1.identity.sn1.neurons.at",
            {"block_number": 0},
        ),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_path_is_a_subject_and_a_body(
    open_client: httpx.AsyncClient,
    nats: ScriptedNats,
    path: str,
    subject: str,
    body: dict[str, int],
    slash: str,
) -> None:
    if "identity" in path:
        open_client.headers["Authorization"] = f"Bearer {SN1_TOKEN}"
    response = await open_client.get(path + slash)
    assert response.status_code == 200
    assert nats.asked[0].subject == subject
    assert json.loads(nats.asked[0].body) == body


async def test_the_replys_bytes_are_returned_unchanged(
    open_client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    # Neither the spaces nor the key that no model knows, nor even JSON, is looked at.
    for body in (b'{ "block" :1, "news": [ ] }', b"not even JSON"):
        nats.answer = lambda _asked, body=body: body
        response = await open_client.get(LATEST)
        assert response.content == body
        assert response.headers["Content-Type"] == "application/json"


SAMPLES = {
    "identity_name": "sn1",
    "netuid": "1",
    "block_number": "7",
    "hotkey": "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
    "extrinsic_index": "3",
    "mechanism_id": "0",
    "job_id": "a" * 26,
}


@pytest.mark.parametrize(
    ("operation", "scope"),
    [(row, scope) for row in OPERATIONS for scope in row.scopes if row.method == "GET"],
    ids=lambda value: getattr(value, "name", str(value)),
)
async def test_no_path_matches_another_route(
    client: httpx.AsyncClient,
    nats: ScriptedNats,
    operation: Operation[Params, BaseModel],
    scope: Scope,
) -> None:
    token = OPEN_TOKEN if scope is Scope.OPEN else SN1_TOKEN
    path = operation.rest_path(scope).format(**SAMPLES)
    response = await client.get(path, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 200
    asked = [parse_subject(asked.subject) for asked in nats.asked]
    if operation is IDENTITIES:
        assert not asked
    elif scope is Scope.IDENTITY:
        assert asked == [IdentitySubject(IdentityName("sn1"), operation.name)]
    else:
        netuid = NetUid(1) if operation.per_subnet else None
        assert asked == [OpenSubject(netuid, operation.name)]


async def test_every_operation_has_a_route_in_each_of_its_scopes(
    client: httpx.AsyncClient,
) -> None:
    paths = (await client.get("/schema/openapi.json")).json()["paths"]
    for operation in OPERATIONS:
        for scope in Scope:
            assert (operation.rest_path(scope) in paths) or scope not in operation.scopes


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/api/v1/subnet/-1/block/latest/neurons", "netuid"),
        ("/api/v1/subnet/65536/block/latest/neurons", "netuid"),
        ("/api/v1/subnet/one/block/latest/neurons", "netuid"),
        ("/api/v1/subnet/1.0/block/latest/neurons", "netuid"),
        ("/api/v1/subnet/01/block/latest/neurons", "netuid"),
        ("/api/v1/subnet/1/block/-1/neurons", "block_number"),
        ("/api/v1/subnet/1/block/4294967296/neurons", "block_number"),
        ("/api/v1/subnet/1/block/0x10/neurons", "block_number"),
        ("/api/v1/subnet/1/block/1_0/neurons", "block_number"),
        ("/api/v1/subnet/1/block/1.5/neurons", "block_number"),
        ("/api/v1/subnet/1/block/%20/neurons", "block_number"),
    ],
)
async def test_values_that_the_chain_cannot_have_are_refused(
    open_client: httpx.AsyncClient, nats: ScriptedNats, path: str, key: str
) -> None:
    response = await open_client.get(path)
    body = response.json()
    assert response.status_code == 400
    assert body["status_code"] == 400
    assert body["code"] == "INVALID"
    assert body["detail"] == f"Validation failed for GET {path}".replace("%20", " ")
    (item,) = body["extra"]
    assert item["key"] == key
    assert item["source"] == "path"
    assert item["message"]
    assert not nats.asked


async def test_all_bad_values_of_a_path_are_named_at_once(open_client: httpx.AsyncClient) -> None:
    response = await open_client.get("/api/v1/subnet/x/block/y/neurons")
    assert [item["key"] for item in response.json()["extra"]] == ["netuid", "block_number"]


@pytest.mark.parametrize(
    ("asked", "given_s"),
    [(None, 60), ("0.25", 0.25), ("299", 299), ("300", 300), ("301", 300), ("1e9", 300)],
)
async def test_a_request_waits_as_long_as_its_caller_says_but_not_for_ever(
    open_client: httpx.AsyncClient, nats: ScriptedNats, asked: str | None, given_s: float
) -> None:
    headers = {} if asked is None else {"X-Pylon-Timeout": asked}
    await open_client.get(LATEST, headers=headers)
    assert nats.asked[0].timeout_s == given_s


@pytest.mark.parametrize("asked", ["0", "-1", "nan", "inf", "1e999", "soon", "", "1,5"])
async def test_an_invalid_timeout_is_rejected(
    open_client: httpx.AsyncClient, nats: ScriptedNats, asked: str
) -> None:
    response = await open_client.get(LATEST, headers={"X-Pylon-Timeout": asked})
    assert response.status_code == 400
    assert response.json()["extra"][0]["key"] == "X-Pylon-Timeout"
    assert response.json()["extra"][0]["source"] == "header"
    assert not nats.asked


async def test_requests_above_the_limit_are_rejected_with_retry_after(
    nats: ScriptedNats,
) -> None:
    free = asyncio.Event()
    held = asyncio.Event()

    class HoldingNats(ScriptedNats):
        async def request(
            self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout_s: float
        ) -> Reply:
            held.set()
            await free.wait()
            return await super().request(subject, body, headers=headers, timeout_s=timeout_s)

    settings = BridgeSettings(bridge_max_requests=1)
    async with bridge_client(HoldingNats(), settings) as client:
        client.headers["Authorization"] = f"Bearer {OPEN_TOKEN}"
        async with asyncio.TaskGroup() as group:
            first = group.create_task(client.get(LATEST))
            await held.wait()
            second = await client.get(LATEST)
            assert (await client.get("/health")).status_code == 200
            free.set()
        assert (await first).status_code == 200
        assert second.status_code == 429
        assert second.json()["code"] == "OVERLOADED"
        assert second.headers["Retry-After"] == "1"
        assert (await client.get(LATEST)).status_code == 200


async def test_a_trace_goes_on_but_nonsense_does_not(
    open_client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await open_client.get(LATEST, headers={"traceparent": trace})
    await open_client.get(LATEST, headers={"traceparent": "00-zz"})
    assert nats.asked[0].headers[wire_headers.TRACE_PARENT] == trace
    assert wire_headers.TRACE_PARENT not in nats.asked[1].headers


async def test_nothing_of_a_callers_headers_goes_to_the_worker_uncalled_for(
    open_client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    await open_client.get(LATEST, headers={"Pylon-Deadline": "1", "Nats-Msg-Id": "x"})
    assert set(nats.asked[0].headers) == {wire_headers.REQUEST_ID}


def test_no_route_is_analysed_twice() -> None:
    """FastAPI analyses included routers again at the first request, and every added route."""
    app = create_app(BridgeSettings(), ScriptedNats())
    assert {type(route) for route in app.routes} <= {APIRoute, Route, Mount}
    by_path = {
        (method, route.path): route
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods or set[str]()
    }
    for operation in OPERATIONS:
        if operation is IDENTITIES or needs_no_token(operation):
            continue
        for scope in operation.scopes:
            route = by_path[operation.method, operation.rest_path(scope)]
            for path in unstable_paths(operation, scope):
                assert by_path[operation.method, path].dependant is route.dependant


class FixedMemory(MemoryReads):
    """A memory that has every read of subnet 1, and blocks up to 7."""

    def __init__(self) -> None:
        super().__init__(block_duration_s=12, recent_limit_blocks=64, is_connected=lambda: True)

    def find(
        self, operation: str, netuid: NetUid | None, number: BlockNumber | None
    ) -> MemoryReply | None:
        if netuid == SUBNET and (number or 0) <= HELD_BLOCK:
            return MemoryReply(block_of(HELD_BLOCK), operation.encode())
        return None


async def test_reads_are_served_from_memory_before_a_worker_is_asked(nats: ScriptedNats) -> None:
    metrics = BridgeMetrics()
    app = bridge_app(nats, BridgeSettings(), memory=FixedMemory(), metrics=metrics)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
        client.headers["Authorization"] = f"Bearer {OPEN_TOKEN}"
        latest = await client.get("/api/v1/subnet/1/block/latest/neurons")
        assert latest.headers["X-Pylon-Source"] == "memory"
        assert latest.headers["X-Pylon-Block-Number"] == "7"
        assert latest.headers["Cache-Control"] == "private, no-cache"
        assert latest.content == b"neurons.latest"
        at = await client.get("/api/v1/subnet/1/block/7/neurons")
        assert at.headers["Cache-Control"] == "private, max-age=60"
        assert at.content == b"neurons.at"
        tag = {"If-None-Match": latest.headers["ETag"]}
        unchanged = await client.get("/api/v1/subnet/1/block/latest/neurons", headers=tag)
        assert (unchanged.status_code, unchanged.headers["X-Pylon-Source"]) == (304, "memory")
        assert not nats.asked
        for path in (LATEST, "/api/v1/subnet/2/block/latest/neurons", AT_8):
            assert (await client.get(path)).headers["X-Pylon-Source"] == "worker"
        assert len(nats.asked) == 3
        wrong = {"Authorization": f"Bearer {SN1_TOKEN}"}
        of_sn2 = "/api/v1/identity/sn2/subnet/2/block/latest/neurons"
        assert (await client.get(of_sn2, headers=wrong)).status_code == 403
        of_sn1 = "/api/v1/identity/sn1/subnet/1/block/latest/neurons"
        assert (await client.get(of_sn1, headers=wrong)).content == b"neurons.latest"
    replies = metrics.read_replies
    assert [replies.labels(of)._value.get() for of in ("memory", "worker")] == [4, 3]
