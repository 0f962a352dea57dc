"""The bridge as a process: how it starts, how it refuses to, and how it ends."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from tests.support.bridge_process import BridgeProcess, bridge_environment
from tests.support.gated_worker import GatedWorker
from tests.support.nats_server import NatsServer

LATEST_BLOCK = "/api/v1/block/latest"
NOWHERE = "nats://127.0.0.1:1"


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncGenerator[NatsServer]:
    async with NatsServer(tmp_path) as server:
        yield server


@pytest.fixture
async def worker(nats: NatsServer) -> AsyncGenerator[GatedWorker]:
    worker = GatedWorker()
    async with worker.at(nats.url):
        yield worker


async def test_a_request_in_hand_is_finished_before_the_bridge_ends(
    nats: NatsServer, worker: GatedWorker, tmp_path: Path
) -> None:
    async with BridgeProcess(tmp_path, bridge_environment(nats.url)) as bridge:
        await bridge.until("/health/ready", 200)
        worker.gate.clear()
        worker.answer = b'{"in":"time"}'
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(bridge.get(LATEST_BLOCK))
            await worker.has_been_asked(1)
            ending = group.create_task(bridge.stop(signal.SIGTERM))
            await bridge.logged("Stopping: no new requests, 1 in hand")
            with pytest.raises(httpx.ConnectError):
                await bridge.get("/health")
            worker.gate.set()
        assert asking.result().status_code == 200
        assert asking.result().content == b'{"in":"time"}'
        assert ending.result() == 0
        assert "Traceback" not in bridge.log


async def test_a_request_that_outlasts_the_grace_is_told_to_come_again(
    nats: NatsServer, worker: GatedWorker, tmp_path: Path
) -> None:
    environment = bridge_environment(nats.url, bridge_graceful_shutdown_seconds="3")
    async with BridgeProcess(tmp_path, environment) as bridge:
        await bridge.until("/health/ready", 200)
        worker.gate.clear()
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(bridge.get(LATEST_BLOCK))
            await worker.has_been_asked(1)
            ending = group.create_task(bridge.stop(signal.SIGTERM))
        assert asking.result().status_code == 503
        assert asking.result().json()["retryable"] is True
        assert ending.result() == 0
        assert "Traceback" not in bridge.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_without_nats_too_it_ends_when_told(number: signal.Signals, tmp_path: Path) -> None:
    async with (
        BridgeProcess(tmp_path, bridge_environment(NOWHERE)) as bridge,
        httpx.AsyncClient(base_url=bridge.url, trust_env=False) as idle,
    ):
        assert (await idle.get("/health")).status_code == 200
        assert await bridge.stop(number) == 0
        assert "Traceback" not in bridge.log


async def refusal(folder: Path, environment: dict[str, str]) -> str:
    """The log of a bridge that ends by itself because it cannot run."""
    bridge = BridgeProcess(folder, environment)
    await bridge.launch()
    assert await bridge.ended() == 1
    assert "Traceback" not in bridge.log
    return bridge.log


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        log = await refusal(tmp_path, bridge_environment(NOWHERE, bridge_port=str(port)))
    assert f"cannot listen on 127.0.0.1 port {port}" in log
    assert "in use" in log


async def test_wrong_settings_are_named_but_not_repeated(tmp_path: Path) -> None:
    environment = bridge_environment(NOWHERE, {"sn1": 1})
    environment["PYLON_ID_SN1_NETUID"] = "secret-netuid"
    log = await refusal(tmp_path, environment)
    assert "A setting is wrong: PYLON_ID_SN1_NETUID: should be a valid integer" in log
    assert "secret-netuid" not in log
    assert "sn1-token" not in log


async def test_a_list_that_is_no_json_is_named(tmp_path: Path) -> None:
    environment = bridge_environment(NOWHERE) | {"PYLON_IDENTITIES": "sn1"}
    log = await refusal(tmp_path, environment)
    assert 'PYLON_IDENTITIES: must be a JSON list like ["sn1"]' in log


async def test_a_nats_url_that_is_none_is_refused_and_not_tried_for_ever(tmp_path: Path) -> None:
    log = await refusal(tmp_path, bridge_environment("localhost:4222"))
    assert "must look like nats://host:port" in log


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("--version", 0), ("--port", 2)])
async def test_it_has_no_options_but_those_that_tell_of_it(argument: str, code: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", argument),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert process.returncode == code
    assert (b"unrecognized arguments: --port" in said) == (code == 2)
