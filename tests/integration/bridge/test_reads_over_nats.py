"""One bridge, one nats-server with the permissions of a deployment, real HTTP and real requests."""

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from pylon.nats_server.permissions import authorization_config
from pylon_client.contract import headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.deployment import BRIDGE_PASSWORD, deployment_settings, token_of
from tests.support.product.stub_worker import StubWorker

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDENTITIES = {"sn1": 1, "sn2": 2}
LONGEST_S = 4.0
MAX_REQUESTS = 5
SLOTS = 3
"""The places of open access: of five, each of three callers has one, and two are shared."""
LATEST_BLOCK = "/api/v1/block/latest"
SN1 = "/api/v1/identity/sn1/subnet/1/block/latest/neurons"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[NatsServer]:
    rules = authorization_config(deployment_settings(identities=IDENTITIES))
    async with NatsServer(tmp_path_factory.mktemp("nats"), rules) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bridge(
    nats: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[BridgeProcess]:
    environment = bridge_environment(
        nats.url,
        IDENTITIES,
        max_request_timeout_seconds=str(LONGEST_S),
        default_request_timeout_seconds=str(LONGEST_S),
        bridge_max_requests=str(MAX_REQUESTS),
    )
    async with BridgeProcess(tmp_path_factory.mktemp("bridge"), environment) as bridge:
        await bridge.until("/health/ready", 200)
        yield bridge


@pytest_asyncio.fixture(loop_scope="module")
async def worker(nats: NatsServer) -> AsyncGenerator[StubWorker]:
    worker = StubWorker()
    async with worker.at(nats.url):
        yield worker


async def test_bytes_of_any_size_pass_through_untouched(
    bridge: BridgeProcess, worker: StubWorker
) -> None:
    for size in (0, 1, 150_000, 1_000_000):
        worker.reply = json.dumps({"spaced  ": "x" * size}, indent=1).encode()
        response = await bridge.get("/api/v1/subnet/7/block/12/neurons")
        assert response.status_code == 200
        assert response.content == worker.reply
        assert response.headers["Content-Type"] == "application/json"
    assert {message.subject for message in worker.requests} == {"pylon.v1.open.7.neurons.at"}
    assert {message.data for message in worker.requests} == {b'{"block_number":12}'}


async def test_an_identitys_request_uses_its_subject_and_the_bridges_inbox(
    bridge: BridgeProcess, worker: StubWorker
) -> None:
    response = await bridge.get(SN1, headers=bearer(token_of("sn1")))
    assert response.status_code == 200
    (message,) = worker.requests
    assert message.subject == "pylon.v1.identity.sn1.neurons.latest"
    assert message.reply.startswith("_INBOX.bridge.")


async def test_without_the_token_nothing_reaches_nats(
    bridge: BridgeProcess, worker: StubWorker
) -> None:
    unknown = SN1.replace("sn1", "sn9")
    other_subnet = SN1.replace("subnet/1", "subnet/2")
    refused = [
        (await bridge.get(SN1), 401),
        (await bridge.get(SN1, headers=bearer("wrong")), 403),
        (await bridge.get(SN1, headers=bearer(token_of("sn2"))), 403),
        (await bridge.get(unknown, headers=bearer(token_of("sn2"))), 404),
        (await bridge.get(unknown, headers=bearer("wrong")), 403),
        (await bridge.get(other_subnet, headers=bearer(token_of("sn1"))), 308),
        (await bridge.get("/api/v1/subnet/70000/block/latest/neurons"), 400),
    ]
    for response, status in refused:
        assert response.status_code == status
        assert response.json()["status_code"] == status
        assert response.json()["detail"]
        assert "Location" not in response.headers
    assert not worker.requests


async def test_the_deadline_and_the_request_id_reach_the_worker(
    bridge: BridgeProcess, worker: StubWorker
) -> None:
    sent = {"X-Request-Id": "request-7", "X-Pylon-Timeout": "1000000"}
    response = await bridge.get(LATEST_BLOCK, headers=sent)
    assert response.headers["X-Request-Id"] == "request-7"
    (message,) = worker.requests
    assert message.headers is not None
    assert message.headers[headers.REQUEST_ID] == "request-7"
    assert message.headers[headers.CONTRACT] == "v1"
    assert headers.seconds_left(message.headers[headers.DEADLINE]) <= LONGEST_S


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.NOT_FOUND, 404),
        (ErrorCode.RATE_LIMITED, 429),
        (ErrorCode.CHAIN_UNAVAILABLE, 502),
        (ErrorCode.ARCHIVE_REQUIRED, 502),
        (ErrorCode.SHUTTING_DOWN, 503),
        (ErrorCode.CHAIN_TIMEOUT, 504),
        (ErrorCode.INTERNAL, 500),
    ],
)
async def test_a_workers_failure_is_returned_unchanged(
    bridge: BridgeProcess, worker: StubWorker, code: ErrorCode, status: int
) -> None:
    worker.reply = FailureError(code, "The chain says no.", retry_at_block=BlockNumber(99))
    response = await bridge.get(LATEST_BLOCK)
    assert response.status_code == status
    assert response.json() == {
        "status_code": status,
        "code": code.value,
        "detail": "The chain says no.",
        "retryable": worker.reply.failure.retryable,
        "retry_at_block": 99,
    }


async def test_a_request_past_its_deadline_fails(bridge: BridgeProcess, worker: StubWorker) -> None:
    worker.gate.clear()
    response = await bridge.get(LATEST_BLOCK, headers={"X-Pylon-Timeout": "0.2"})
    assert response.status_code == 504
    assert response.json()["code"] == "DEADLINE_EXCEEDED"
    # The cap of the settings ends it, or this would wait for longer than the test may take.
    response = await bridge.get(LATEST_BLOCK, headers={"X-Pylon-Timeout": "1e9"})
    assert response.status_code == 504
    assert len(worker.requests) == 2


async def test_without_a_worker_requests_fail_at_once(bridge: BridgeProcess) -> None:
    response = await bridge.get(LATEST_BLOCK)
    assert response.status_code == 503
    assert response.json()["code"] == "NATS_UNAVAILABLE"
    assert response.json()["retryable"] is True
    assert response.headers["Retry-After"] == "1"


async def test_requests_above_the_limit_are_rejected_and_later_ones_served(
    bridge: BridgeProcess, worker: StubWorker
) -> None:
    worker.gate.clear()
    async with asyncio.TaskGroup() as group:
        pending = [group.create_task(bridge.get(LATEST_BLOCK)) for _ in range(SLOTS)]
        await worker.has_received(SLOTS)
        response = await bridge.get(LATEST_BLOCK)
        assert response.status_code == 429
        assert response.json()["code"] == "OVERLOADED"
        assert (await bridge.get("/health")).status_code == 200
        worker.gate.set()
    assert [task.result().status_code for task in pending] == [200] * SLOTS
    assert (await bridge.get(LATEST_BLOCK)).status_code == 200
    assert len(worker.requests) == SLOTS + 1


async def test_a_request_whose_caller_disconnected_releases_its_slot(
    bridge: BridgeProcess, worker: StubWorker
) -> None:
    worker.gate.clear()
    leaving = [asyncio.create_task(bridge.get(LATEST_BLOCK)) for _ in range(SLOTS)]
    await worker.has_received(SLOTS)
    for task in leaving:
        task.cancel()
    await asyncio.wait(leaving)
    worker.gate.set()
    assert (await bridge.until(LATEST_BLOCK, 200)).status_code == 200


async def test_no_token_is_in_the_log(bridge: BridgeProcess, worker: StubWorker) -> None:
    for token in (token_of("sn1"), "wrong-token"):
        await bridge.get(SN1, headers={**bearer(token), "X-Request-Id": f"of-{len(token)}"})
        await bridge.logged(f"request_id=of-{len(token)}")
    for secret in (*map(token_of, IDENTITIES), "wrong-token", BRIDGE_PASSWORD):
        assert secret not in bridge.log
