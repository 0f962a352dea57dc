"""A worker as its users run it: the process `pylon worker`, configured by its environment."""

import signal
from pathlib import Path

from pylon_client.contract import json_codec
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.product.running_worker import connected
from tests.support.product.worker_process import READY, worker_process


async def test_it_serves_until_sigterm_and_then_ends_with_code_zero(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
        worker_process(tmp_path, server.url, devnet.url) as worker,
        connected(server.url) as connection,
    ):
        await worker.logs(READY)
        reply = await connection.request("pylon.v1.open.1.neurons.latest", timeout_s=30)
        assert len(json_codec.decode(reply.body)["neurons"]) == 256
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ends() == 0
        assert "Traceback" not in worker.log


async def test_it_waits_for_nats_to_start(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, autostart=False)) as devnet,
    ):
        await server.stop()
        async with worker_process(tmp_path, server.url, devnet.url) as worker:
            await worker.logs("Waiting for NATS")
            await server.start()
            await worker.logs(READY)
            worker.process.send_signal(signal.SIGINT)
            assert await worker.ends() == 0


async def test_it_can_be_stopped_while_it_waits_for_nats(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        await server.stop()
        async with worker_process(tmp_path, server.url, "ws://127.0.0.1:9") as worker:
            await worker.logs("Waiting for NATS")
            worker.process.send_signal(signal.SIGTERM)
            assert await worker.ends() == 0


async def test_it_serves_while_the_chain_is_down(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        worker_process(tmp_path, server.url, "ws://127.0.0.1:9") as worker,
        connected(server.url) as connection,
    ):
        await worker.logs(READY)
        reply = await connection.nats.request("pylon.v1.open.1.neurons.latest", timeout=30)
        assert (reply.headers or {})["Pylon-Error"] == "CHAIN_UNAVAILABLE"
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ends() == 0


async def test_a_rejected_password_ends_it_with_a_message(tmp_path: Path) -> None:
    authorization = 'authorization { user: "worker", password: "right" }'
    async with (
        NatsServer(tmp_path, authorization) as server,
        worker_process(
            tmp_path, server.url, "ws://127.0.0.1:9", PYLON_NATS_WORKER_PASSWORD="hunter2"
        ) as worker,
    ):
        assert await worker.ends() == 1
        assert "does not accept" in worker.log
        assert "hunter2" not in worker.log
        assert "Traceback" not in worker.log


async def test_an_invalid_network_ends_it_with_a_message(tmp_path: Path) -> None:
    async with worker_process(tmp_path, "nats://127.0.0.1:9", "fnney") as worker:
        assert await worker.ends() == 1
        assert "PYLON_BITTENSOR_NETWORK: unknown network: choose one of" in worker.log
        assert "Traceback" not in worker.log
