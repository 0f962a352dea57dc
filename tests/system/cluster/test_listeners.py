"""200 HTTP listeners receive every block once and in order, in spite of faults."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.chain.devnet_control import ON_DEMAND_S, ON_DEMAND_SETTINGS
from tests.support.chain.devnet_process import DevnetProcess
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.worker_process import READY, leader_among, worker_process
from tests.support.wire.event_stream import EventStream, listening_client

LISTENERS = 200
OF_NEURONS_TOO = 4
BLOCKS = "/api/v1/block/stream"
NEURONS = "/api/v1/subnet/2/neurons/stream"


@pytest.mark.slow
async def test_every_listener_sees_every_block_once_and_in_order(tmp_path: Path) -> None:
    """The test makes new blocks only after every listener has received the previous ones."""
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(NatsServer(tmp_path))
        devnet = await stack.enter_async_context(DevnetProcess(tmp_path, block_time_s=ON_DEMAND_S))
        settings = {"PYLON_TRACKED_NETUIDS": "[2]", **ON_DEMAND_SETTINGS}
        workers = [
            await stack.enter_async_context(
                worker_process(tmp_path, nats.url, devnet.url, **settings)
            )
            for _ in range(2)
        ]
        await asyncio.gather(*(worker.logs(READY) for worker in workers))
        await devnet.advance()
        bridge_folder = tmp_path / "bridge"
        bridge_folder.mkdir()
        bridge = await stack.enter_async_context(
            BridgeProcess(bridge_folder, bridge_environment(nats.url))
        )
        await bridge.until("/api/v1/subnet/2/block/latest/neurons", 200)
        client = await stack.enter_async_context(listening_client(bridge.url))
        listening = [
            await stack.enter_async_context(EventStream.of(client, path))
            for path in [BLOCKS] * LISTENERS + [NEURONS] * OF_NEURONS_TOO
        ]

        async def all_reach(number: int) -> None:
            for listener in listening:
                await listener.reaches(number)

        for _ in range(3):
            await all_reach(await devnet.advance())

        await devnet.kill()
        await devnet.start()
        await all_reach(await devnet.advance(2))

        await nats.kill()
        unpublished = await devnet.advance(3)
        await nats.start()
        await all_reach(unpublished)

        leader = await leader_among(workers)
        await leader.kill()
        await all_reach(await devnet.advance(2))

        for listener in listening:
            first = listener.ids[0]
            assert listener.ids == list(range(first, first + len(listener.ids)))
            assert "missed" not in listener.names
