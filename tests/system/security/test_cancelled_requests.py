"""A cancelled request ends its work; only its caller can cancel it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from pylon.rpc.calls import ServiceCall
from pylon.rpc.request_server import RequestServer
from pylon_client.contract.failures import FailureError
from pylon_client.contract.headers import CANCEL_ID
from pylon_client.contract.operations import LATEST_BLOCK, OPERATIONS_BY_NAME
from pylon_client.contract.reads import LATEST_NEURONS
from pylon_client.contract.subjects import CANCELLATIONS
from pylon_client.contract.types import IdentityName, NetUid
from tests.support.nats.replicas import Nats
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.eventually import HANGS_AFTER_S, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN = f"pylon.v1.open.chain.{LATEST_BLOCK.name}"
ALICES = f"pylon.v1.identity.alice.{LATEST_NEURONS.name}"
WAITS_S = 250.0


@pytest_asyncio.fixture(loop_scope="module")
async def service(nats: Nats) -> AsyncGenerator[RequestServer]:
    """A worker whose chain does not answer."""

    async def handler(_: ServiceCall) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    identities = {IdentityName("alice"): NetUid(1)}
    worker = await nats.connect()
    handlers = dict.fromkeys(OPERATIONS_BY_NAME, handler)
    service = RequestServer(worker, handlers, identities=identities, max_requests=100)
    await service.start()
    yield service
    await service.drain(0)


@pytest.mark.parametrize(("user", "subject"), [(None, OPEN), ("alice", OPEN), ("alice", ALICES)])
async def test_a_cancelled_request_ends_its_work(
    nats: Nats, service: RequestServer, user: str | None, subject: str
) -> None:
    caller = await nats.connect(user=user)
    pending = [asyncio.create_task(caller.request(subject, timeout_s=WAITS_S)) for _ in range(5)]
    await eventually(lambda: service.in_progress == 5)
    pending.pop().cancel()
    await eventually(lambda: service.in_progress == 4)
    for one in pending:
        one.cancel()
    await eventually(lambda: service.in_progress == 0)
    assert service.counts.cancelled == 5


async def test_a_cancellation_that_overtakes_its_request_ends_it(
    nats: Nats, service: RequestServer
) -> None:
    alice = await nats.connect(user="alice")
    await alice.nats.publish(CANCELLATIONS[1].replace("*", "alice"), b"early")
    # After the next request, the service has received the cancellation.
    with contextlib.suppress(FailureError):
        await alice.request(ALICES, timeout_s=0.1)
    headers = {CANCEL_ID: "early"}
    await alice.nats.publish(ALICES, reply=alice.nats.new_inbox(), headers=headers)
    await eventually(lambda: service.counts.cancelled == 1)
    assert service.in_progress == 0


async def test_other_callers_cannot_cancel_a_request(nats: Nats, service: RequestServer) -> None:
    alice, anonymous = await nats.connect(user="alice"), await nats.connect(user=None)
    waiting = asyncio.create_task(alice.request(ALICES, timeout_s=WAITS_S))
    await eventually(lambda: service.in_progress == 1)
    for subject in (CANCELLATIONS[0], "pylon.v1.identity.alice.cancel"):
        for guess in (b"", b"\xff", b"x" * 22, b"*"):
            await anonymous.nats.publish(subject, guess)
    await anonymous.nats.flush()
    with contextlib.suppress(FailureError):
        await anonymous.request(OPEN, timeout_s=0.1)  # the service has received all of them
    assert not waiting.done()
    assert service.counts.cancelled == 0
    waiting.cancel()
    await eventually(lambda: service.in_progress == 0)


async def test_a_closed_http_connection_ends_the_work(
    nats: Nats, service: RequestServer, tmp_path: Path
) -> None:
    async with (
        BridgeProcess(tmp_path, bridge_environment(nats.url)) as bridge,
        httpx.AsyncClient(base_url=bridge.url, trust_env=False, timeout=WAITS_S) as http,
    ):
        await bridge.until("/health/ready", 200)
        pending = [
            asyncio.create_task(http.get("/api/v1/subnet/1/block/latest/neurons")) for _ in range(3)
        ]
        await eventually(lambda: service.in_progress == 3)
        for one in pending:
            one.cancel()
        await asyncio.wait(pending, timeout=HANGS_AFTER_S)
        await eventually(lambda: service.in_progress == 0)
        assert service.counts.cancelled == 3
