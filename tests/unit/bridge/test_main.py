"""The server process of the bridge: drain, stop, and start-up errors."""

import asyncio
import errno
import signal
import socket
from typing import Any, NoReturn

import pytest
import uvicorn

import bridge.main
from bridge.draining import DrainState
from bridge.main import EXIT_FAILURE, BridgeServer, run
from tests.support.product.eventually import HANGS_AFTER_S


class Calls:
    """Records which callbacks were called, and releases a waiting shutdown."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.failed = asyncio.Event()

    def close_streams(self) -> None:
        self.names.append("close streams")

    def fail_pending(self) -> None:
        self.names.append("fail pending")
        self.failed.set()


def server_of(calls: Calls, draining: DrainState, *, drain_s: float, grace_s: int = 20) -> Any:
    config = uvicorn.Config(
        "unused", lifespan="off", log_config=None, timeout_graceful_shutdown=grace_s
    )
    return BridgeServer(
        config,
        draining=draining,
        drain_s=drain_s,
        close_streams=calls.close_streams,
        fail_pending=calls.fail_pending,
    )


async def test_without_a_drain_the_first_signal_stops() -> None:
    draining = DrainState()
    server = server_of(Calls(), draining, drain_s=0)
    server.handle_exit(signal.SIGTERM, None)
    assert await server.on_tick(1)
    assert not draining.has_begun


async def test_the_first_signal_starts_the_drain_and_the_second_ends_it() -> None:
    draining = DrainState()
    server = server_of(Calls(), draining, drain_s=1e6)
    assert not await server.on_tick(1)
    server.handle_exit(signal.SIGTERM, None)
    assert draining.has_begun
    assert not await server.on_tick(1)
    server.handle_exit(signal.SIGTERM, None)
    assert await server.on_tick(1)


async def test_the_server_stops_when_the_drain_has_ended() -> None:
    server = server_of(Calls(), DrainState(), drain_s=1e-9)
    server.handle_exit(signal.SIGTERM, None)
    assert await server.on_tick(1)


async def test_requests_that_are_pending_near_the_end_of_the_grace_period_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = Calls()

    async def shut_down(*_: object) -> None:
        async with asyncio.timeout(HANGS_AFTER_S):
            await calls.failed.wait()

    monkeypatch.setattr(uvicorn.Server, "shutdown", shut_down)
    await server_of(calls, DrainState(), drain_s=0, grace_s=1).shutdown()
    assert calls.names == ["close streams", "fail pending"]


async def test_requests_that_end_in_time_do_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls()

    async def shut_down(*_: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(uvicorn.Server, "shutdown", shut_down)
    await server_of(calls, DrainState(), drain_s=0, grace_s=1).shutdown()
    await asyncio.sleep(0)
    assert calls.names == ["close streams"]


@pytest.fixture
def _no_logging_setup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge.main, "set_up_logging", lambda: None)


@pytest.mark.usefixtures("_no_logging_setup")
def test_wrong_settings_end_the_process_with_one_line_each(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYLON_BRIDGE_PORT", "none")
    monkeypatch.setenv("PYLON_BRIDGE_MAX_STREAMS", "0")
    assert run() == EXIT_FAILURE
    wrong = [record.message for record in caplog.records if "A setting is wrong" in record.message]
    assert [line.split(":")[1].strip() for line in wrong] == [
        "PYLON_BRIDGE_PORT",
        "PYLON_BRIDGE_MAX_STREAMS",
    ]


@pytest.mark.usefixtures("_no_logging_setup")
@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]
)
def test_an_address_that_cannot_be_used_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    host: str,
    family: socket.AddressFamily,
) -> None:
    asked: list[Any] = []

    def create_server(address: Any, *, family: socket.AddressFamily) -> NoReturn:
        asked.append((address, family))
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(socket, "create_server", create_server)
    monkeypatch.setenv("PYLON_BRIDGE_HOST", host)
    monkeypatch.setenv("PYLON_BRIDGE_PORT", "81")
    assert run() == EXIT_FAILURE
    assert asked == [((host, 81), family)]
    assert f"it cannot listen on {host} port 81: Address already in use" in caplog.text
