"""Streams without events: an idle chain and a stopped Pylon are distinguished."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pylon.nats_server.permissions import authorization_config
from pylon.rpc.calls import CallResult, Handler, ServiceCall
from pylon.rpc.request_server import RequestServer
from pylon_client.contract import json_codec
from pylon_client.contract.event_replay import PUBLISHED_BLOCK, PUBLISHED_NEURONS
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.reads import LATEST_BLOCK, RECENT_NEURONS
from pylon_client.nats.nats_connection import ConnectionOptions, connect
from pylon_client.testing import sample_block_info
from pylon_client.v1 import AsyncConfig, AsyncPylonClient, NetUid, PylonUnavailable
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings
from tests.support.product.eventually import HANGS_AFTER_S, eventually

GIVE_UP_AFTER_S = 2.0
FOLLOWING: list[Callable[[AsyncPylonClient], AsyncGenerator[Any]]] = [
    lambda client: client.open_access.blocks(give_up_after_s=GIVE_UP_AFTER_S),
    lambda client: client.open_access.neuron_snapshots(NetUid(1), give_up_after_s=GIVE_UP_AFTER_S),
]


@dataclass
class QuietWorker:
    """A worker that replies and publishes nothing.

    Attributes:
        failure: the failure of reads of the chain; None replies with a block.
        asked: the number of reads.
    """

    url: str
    failure: ErrorCode | None = None
    reads: int = 0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def latest_block(self, call: ServiceCall[Any]) -> CallResult:
        self.reads += 1
        if self.failure is not None:
            raise FailureError(self.failure, "the test says so")
        return CallResult(json_codec.encode(sample_block_info()))

    async def nothing(self, call: ServiceCall[Any]) -> CallResult:
        is_recent = call.operation == RECENT_NEURONS.name
        code = ErrorCode.NO_RECENT_SNAPSHOT if is_recent else ErrorCode.NOT_FOUND
        raise FailureError(code, "nothing yet")

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        options = ConnectionOptions((self.url,), user="worker", password=WORKER_PASSWORD)
        connection = await connect(options)
        operations = (PUBLISHED_BLOCK, PUBLISHED_NEURONS, RECENT_NEURONS)
        handlers: dict[str, Handler[Any]] = dict.fromkeys(
            (operation.name for operation in operations), self.nothing
        )
        handlers[LATEST_BLOCK.name] = self.latest_block
        service = RequestServer(connection, handlers, identities={}, max_requests=10)
        await service.start()
        yield
        await service.drain(10)
        await connection.close()


@dataclass
class Addresses:
    """The URL of NATS, and the address of the client: NATS or a bridge."""

    nats: str
    address: str


@pytest.fixture(params=["nats", "http"])
async def addresses(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Addresses]:
    """Start everything but a worker."""
    async with NatsServer(tmp_path, authorization_config(deployment_settings())) as server:
        if request.param == "nats":
            yield Addresses(server.url, server.url)
            return
        folder = tmp_path / "bridge"
        folder.mkdir()
        async with BridgeProcess(folder, bridge_environment(server.url)) as bridge:
            await eventually(lambda: "Connected to NATS" in bridge.log)
            yield Addresses(server.url, bridge.url)


async def test_no_stream_starts_without_a_worker(addresses: Addresses) -> None:
    async with (
        AsyncPylonClient(AsyncConfig(address=addresses.address)) as client,
        asyncio.timeout(HANGS_AFTER_S),
    ):
        for follow in FOLLOWING:
            async with aclosing(follow(client)) as values:
                with pytest.raises(PylonUnavailable, match="No worker"):
                    await anext(values)


@pytest.mark.parametrize("failure", [None, ErrorCode.CHAIN_UNAVAILABLE])
async def test_an_idle_stream_waits_while_a_worker_replies(
    addresses: Addresses, failure: ErrorCode | None
) -> None:
    worker = QuietWorker(addresses.nats, failure)
    async with (
        AsyncPylonClient(AsyncConfig(address=addresses.address)) as client,
        aclosing(FOLLOWING[0](client)) as blocks,
        aclosing(FOLLOWING[1](client)) as snapshots,
        asyncio.timeout(HANGS_AFTER_S),
    ):
        async with worker.running():
            waiting = [asyncio.ensure_future(anext(values)) for values in (blocks, snapshots)]
            # Each stream probes at its start and then every second, for longer than its limit.
            await eventually(lambda: worker.reads >= 10)
            assert not any(each.done() for each in waiting)
        for each in waiting:
            with pytest.raises(PylonUnavailable, match="No worker"):
                await each
