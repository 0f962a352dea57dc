"""Streams over HTTP: a real chain, worker, nats-server and bridge, and many who listen."""

import signal
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import zstandard

from pylon_client.contract import json_codec
from pylon_devnet import Devnet, DevnetOptions
from tests.support.chain.devnet_control import ON_DEMAND_S
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.running_worker import worker_on
from tests.support.wire.event_stream import EventStream, listening_client

BLOCKS = "/api/v1/block/stream"
NEURONS_OF_2 = "/api/v1/subnet/2/neurons/stream"
LATEST_NEURONS = "/api/v1/subnet/2/block/latest/neurons"
LISTENERS = 200
LISTENERS_TO_NEURONS = 4


@dataclass
class Service:
    devnet: Devnet
    nats: NatsServer
    folder: Path

    @asynccontextmanager
    async def bridge(self, name: str = "bridge") -> AsyncGenerator[BridgeProcess]:
        folder = self.folder / name
        folder.mkdir()
        async with BridgeProcess(folder, bridge_environment(self.nats.url)) as bridge:
            await bridge.until("/health/ready", 200)
            await bridge.until(LATEST_NEURONS, 200)
            yield bridge


@asynccontextmanager
async def service(folder: Path) -> AsyncGenerator[Service]:
    async with (
        NatsServer(folder) as nats,
        Devnet(DevnetOptions(port=0, autostart=False, past_blocks=5)) as devnet,
        worker_on(nats.url, devnet.url, netuids=[2], head_silence_s=ON_DEMAND_S),
    ):
        yield Service(devnet, nats, folder)


def assert_contiguous(ids: list[int]) -> None:
    assert ids == list(range(ids[0], ids[0] + len(ids)))


async def test_two_hundred_listeners_see_every_block_once_and_in_order_through_a_nats_restart(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(service(tmp_path))
        bridge = await stack.enter_async_context(running.bridge())
        client = await stack.enter_async_context(listening_client(bridge.url))
        paths = [BLOCKS] * LISTENERS + [NEURONS_OF_2] * LISTENERS_TO_NEURONS
        listening = [
            await stack.enter_async_context(EventStream.of(client, path)) for path in paths
        ]

        async def all_reach_the_head() -> None:
            for listener in listening:
                await listener.reaches(running.devnet.best_number)

        for _ in range(3):
            await all_reach_the_head()
            await running.devnet.advance(1)
        await all_reach_the_head()

        await running.nats.kill()
        await running.devnet.advance(5)
        await running.nats.start()
        await all_reach_the_head()
        await running.devnet.advance(5)
        await all_reach_the_head()

        for listener in listening:
            assert_contiguous(listener.ids)
        assert {name for listener in listening[:LISTENERS] for name in listener.names} == {"block"}
        assert {name for listener in listening[LISTENERS:] for name in listener.names} == {
            "neurons"
        }
        _, neurons = listening[-1].events[-1]
        assert neurons["block"]["number"] == listening[-1].ids[-1]
        assert len(neurons["neurons"]) == 16
        assert (await client.get(LATEST_NEURONS)).status_code == 200
        assert bridge.log.count("Traceback") == 0
        # Blocks before the first worker started were never published, so they are not lost.
        assert bridge.log.count("Lost events of") == 0


async def test_a_stopping_bridge_ends_streams_and_another_resumes_them(
    tmp_path: Path,
) -> None:
    async with service(tmp_path) as running:
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(running.bridge("first"))
            client = await stack.enter_async_context(listening_client(first.url))
            listening = [
                await stack.enter_async_context(EventStream.of(client, BLOCKS)) for _ in range(20)
            ]
            for listener in listening:
                await listener.has(1)
            await running.devnet.advance(1)
            for listener in listening:
                await listener.has(2)
            assert await first.stop(signal.SIGTERM) == 0
            for listener in listening:
                await listener.ends()
                assert listener.names[-1] == "closing"
                assert listener.names.count("closing") == 1
                assert_contiguous(listener.ids)
            assert "Traceback" not in first.log
            last_id = listening[0].ids[-1]

        # While nobody listens, the chain goes on; the bridge that follows knows nothing of it.
        await running.devnet.advance(4)
        async with (
            running.bridge("second") as second,
            listening_client(second.url) as client,
            EventStream.of(client, BLOCKS, last_id=last_id) as resumed,
            EventStream.of(client, BLOCKS) as fresh,
        ):
            await fresh.has(1)
            await running.devnet.advance(2)
            await resumed.reaches(last_id + 6)
            assert resumed.ids[0] == last_id + 1
            assert_contiguous(resumed.ids)
            assert "missed" not in resumed.names
            assert fresh.ids[0] == last_id + 4


async def test_reads_and_streams_of_one_service_agree(tmp_path: Path) -> None:
    async with (
        service(tmp_path) as running,
        running.bridge() as bridge,
        listening_client(bridge.url) as client,
    ):
        untracked = await client.get("/api/v1/subnet/1/neurons/stream")
        assert untracked.status_code == 404
        assert "PYLON_TRACKED_NETUIDS" in untracked.json()["detail"]

        async with EventStream.of(client, NEURONS_OF_2) as stream:
            await stream.has(1)
            await running.devnet.advance(1)
            await stream.has(2)
        number = stream.ids[0]
        at = f"/api/v1/subnet/2/block/{number}/neurons"
        read = await client.get(at, headers={"Accept-Encoding": "identity"})
        assert read.json() == stream.events[0][1]
        assert read.headers["ETag"] == f'"{read.json()["block"]["hash"]}"'
        assert read.headers["X-Pylon-Block-Number"] == str(number)
        assert read.headers["Cache-Control"] == "public, max-age=60"

        again = await client.get(at, headers={"If-None-Match": read.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        packed = await raw(client, at, "zstd")
        assert json_codec.decode(zstandard.decompress(packed)) == read.json()
        assert len(packed) < len(read.content) / 2
        assert (await client.get(at, headers={"Accept-Encoding": "gzip"})).json() == read.json()


async def raw(client: httpx.AsyncClient, path: str, coding: str) -> bytes:
    async with client.stream("GET", path, headers={"Accept-Encoding": coding}) as response:
        assert response.headers["Content-Encoding"] == coding
        return b"".join([chunk async for chunk in response.aiter_raw()])
