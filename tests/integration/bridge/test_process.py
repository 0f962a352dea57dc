"""The bridge as a process: how it starts, how it refuses to, and how it ends."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from bridge.header_limit import MAX_HEADER_BYTES
from pylon_client.contract.topology import MAX_REQUEST_BYTES
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.tcp_proxy import TcpProxy
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.deployment import token_of
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.stub_worker import StubWorker

LATEST_BLOCK = "/api/v1/block/latest"
NOWHERE = "nats://127.0.0.1:1"


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncGenerator[NatsServer]:
    async with NatsServer(tmp_path) as server:
        yield server


@pytest.fixture
async def worker(nats: NatsServer) -> AsyncGenerator[StubWorker]:
    worker = StubWorker()
    async with worker.at(nats.url):
        yield worker


async def test_a_request_in_progress_is_finished_before_the_bridge_ends(
    nats: NatsServer, worker: StubWorker, tmp_path: Path
) -> None:
    async with BridgeProcess(tmp_path, bridge_environment(nats.url)) as bridge:
        await bridge.until("/health/ready", 200)
        worker.gate.clear()
        worker.reply = b'{"in":"time"}'
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(bridge.get(LATEST_BLOCK))
            await worker.has_received(1)
            ending = group.create_task(bridge.stop(signal.SIGTERM))
            await bridge.logged("Stopping: 1 requests in progress")
            with pytest.raises(httpx.ConnectError):
                await bridge.get("/health")
            worker.gate.set()
        assert reading.result().status_code == 200
        assert reading.result().content == b'{"in":"time"}'
        assert ending.result() == 0
        assert "Traceback" not in bridge.log


async def test_idle_connections_are_closed_while_a_bridge_drains(tmp_path: Path) -> None:
    environment = bridge_environment(NOWHERE, bridge_drain_seconds="600")
    async with (
        BridgeProcess(tmp_path, environment) as bridge,
        TcpProxy(int(bridge.url.rpartition(":")[2])) as proxy,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", trust_env=False) as http,
    ):
        for _ in range(2):
            assert "connection" not in (await http.get("/health")).headers
        assert proxy.accepted == 1
        bridge.process.send_signal(signal.SIGTERM)
        await bridge.logged("Draining: serving requests for another 600 s")
        for connections in (1, 2):
            # The first is on the idle connection, the second on a new one.
            response = await http.get("/health")
            assert (response.status_code, response.headers["connection"]) == (200, "close")
            assert proxy.accepted == connections
        # A second signal ends it at once.
        assert await bridge.stop(signal.SIGTERM) == 0


async def test_a_bridge_ends_by_itself_when_it_has_drained(tmp_path: Path) -> None:
    environment = bridge_environment(NOWHERE, bridge_drain_seconds="0.5")
    async with BridgeProcess(tmp_path, environment) as bridge:
        assert await bridge.stop(signal.SIGTERM) == 0
        assert bridge.log.index("Draining") < bridge.log.index("Stopping")


async def test_callers_are_the_first_to_close_an_idle_connection(tmp_path: Path) -> None:
    """The server's own default is httpx's too: a request may then meet the server's close."""
    longer_s = httpx.Limits().keepalive_expiry or 5.0
    async with BridgeProcess(tmp_path, bridge_environment(NOWHERE)) as bridge:
        await bridge.until("/health", 200)
        async with (
            TcpProxy(int(bridge.url.rpartition(":")[2])) as proxy,
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{proxy.port}",
                limits=httpx.Limits(keepalive_expiry=None),
            ) as http,
        ):
            for _ in range(2):
                assert (await http.get("/health")).status_code == 200
                await asyncio.sleep(longer_s + 1)
            assert (proxy.accepted, proxy.open) == (1, 1)


async def test_a_request_longer_than_the_grace_period_is_rejected_with_retry(
    nats: NatsServer, worker: StubWorker, tmp_path: Path
) -> None:
    environment = bridge_environment(nats.url, bridge_graceful_shutdown_seconds="3")
    async with BridgeProcess(tmp_path, environment) as bridge:
        await bridge.until("/health/ready", 200)
        worker.gate.clear()
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(bridge.get(LATEST_BLOCK))
            await worker.has_received(1)
            ending = group.create_task(bridge.stop(signal.SIGTERM))
        assert reading.result().status_code == 503
        assert reading.result().json()["code"] == "SHUTTING_DOWN"
        assert reading.result().json()["retryable"] is True
        assert ending.result() == 0
        assert "Traceback" not in bridge.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_on_sigterm_without_nats(number: signal.Signals, tmp_path: Path) -> None:
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


async def test_a_used_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        log = await refusal(tmp_path, bridge_environment(NOWHERE, bridge_port=str(port)))
    assert f"cannot listen on 127.0.0.1 port {port}" in log
    assert "in use" in log


async def test_wrong_settings_are_named_but_not_repeated(tmp_path: Path) -> None:
    environment = bridge_environment(NOWHERE, {"sn1": 1})
    environment["PYLON_ID_SN1_NETUID"] = "secret-netuid"
    log = await refusal(tmp_path, environment)
    assert "A setting is wrong: PYLON_ID_SN1_NETUID: should be a valid integer" in log
    assert "secret-netuid" not in log
    assert token_of("sn1") not in log


async def test_a_mistyped_setting_is_refused_if_they_are_strict(tmp_path: Path) -> None:
    environment = bridge_environment(NOWHERE, strict_settings="true")
    log = await refusal(tmp_path, environment | {"PYLON_METRICS_TOKN": "secret-token"})
    assert "A setting is wrong: PYLON_METRICS_TOKN is not a setting of Pylon" in log
    assert "did you mean PYLON_METRICS_TOKEN?" in log
    assert "secret-token" not in log


async def test_a_list_that_is_not_json_is_named(tmp_path: Path) -> None:
    environment = bridge_environment(NOWHERE) | {"PYLON_IDENTITIES": "sn1"}
    log = await refusal(tmp_path, environment)
    assert 'PYLON_IDENTITIES: must be a JSON list like ["sn1"]' in log


async def test_an_invalid_nats_url_ends_the_bridge(tmp_path: Path) -> None:
    log = await refusal(tmp_path, bridge_environment("localhost:4222"))
    assert "PYLON_NATS_URL: must look like nats://host:port" in log


CHUNKED = b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"


@pytest.mark.parametrize(
    ("begin", "at_least_bytes"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX: ", MAX_HEADER_BYTES),
        (b"GET /", MAX_HEADER_BYTES),
        (CHUNKED + b"X: ", MAX_HEADER_BYTES),
        (
            b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n",
            MAX_REQUEST_BYTES,
        ),
    ],
    ids=["header", "path", "trailer", "unread body"],
)
async def test_a_body_after_the_response_is_discarded_up_to_a_limit(
    begin: bytes, at_least_bytes: int, tmp_path: Path
) -> None:
    async with BridgeProcess(tmp_path, bridge_environment(NOWHERE)) as bridge:
        host, port = bridge.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(begin)
        sent_bytes = 0
        most_bytes = 16 * MAX_REQUEST_BYTES
        # It is closed by the other side, long before this is over.
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(HANGS_AFTER_S):
                while not reader.at_eof() and sent_bytes < most_bytes:
                    writer.write(b"x" * 8192)
                    await writer.drain()
                    sent_bytes += 8192
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(4096), 0.001)
        writer.close()
        # Bytes in the socket buffers of both sides count as sent.
        assert at_least_bytes <= sent_bytes < most_bytes
        assert (await bridge.get("/health")).status_code == 200
        assert "Traceback" not in bridge.log


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("--version", 0), ("--port", 2)])
async def test_it_has_only_the_options_help_and_version(argument: str, code: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", argument),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        output, _ = await process.communicate()
    assert process.returncode == code
    assert (b"unrecognized arguments: --port" in output) == (code == 2)
