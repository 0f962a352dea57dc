"""The supervision of the embedded nats-server, with a process that a test controls."""

import asyncio
import errno
import json
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pylon.nats_server import embedded_server
from pylon.nats_server.embedded_server import EmbeddedNats, EmbeddedNatsError
from tests.support.product.deployment import deployment_settings
from tests.support.product.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

PORT = 4777


class FakeProcess:
    """A server process: it logs what a test says, and ends at SIGTERM or when a test says so."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stderr = asyncio.StreamReader()
        self._ended = asyncio.Event()

    def log(self, line: str) -> None:
        self.stderr.feed_data(f"[{self.pid}] {line}\n".encode())

    def end(self, code: int) -> None:
        if self.returncode is None:
            self.returncode = code
            self.stderr.feed_eof()
            self._ended.set()

    def terminate(self) -> None:
        self.end(-signal.SIGTERM)

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode


class Machine:
    """Starts processes.

    Attributes:
        on_start: called with each process; by default it listens at once.
        processes: all processes, in the order of their starts.
    """

    def __init__(self, home: Path) -> None:
        self._ports = home / "nats" / "ports"
        self.on_start: Callable[[FakeProcess], None] = self.listen
        self.on_reload: Callable[[FakeProcess], None] = lambda _process: None
        self.processes: list[FakeProcess] = []

    def listen(self, process: FakeProcess) -> None:
        ports = {"nats": [f"nats://127.0.0.1:{PORT}"]}
        (self._ports / f"nats-server_{process.pid}.ports").write_text(json.dumps(ports))

    async def start(self, *_command: str, **_options: Any) -> FakeProcess:
        self.processes.append(FakeProcess(1_000_000 + len(self.processes)))
        self.on_start(self.processes[-1])
        return self.processes[-1]

    def kill(self, pid: int, number: int) -> None:
        assert number == signal.SIGHUP
        (process,) = [one for one in self.processes if one.pid == pid]
        self.on_reload(process)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setattr(embedded_server, "nats_server_binary", lambda: "nats-server")
    monkeypatch.setattr(embedded_server, "POLL_INTERVAL_S", 0.0)
    monkeypatch.setattr(embedded_server, "RESTART_DELAY_S", 0.0)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", machine.start)
    monkeypatch.setattr(os, "kill", machine.kill)
    return machine


def server_in(home: Path, **more: Any) -> EmbeddedNats:
    return EmbeddedNats(home, deployment_settings(), port=0, **more)


async def test_it_is_ready_on_entry_and_stopped_on_exit(machine: Machine, tmp_path: Path) -> None:
    server = server_in(tmp_path)
    with pytest.raises(EmbeddedNatsError, match="does not run"):
        _ = server.pid
    async with server:
        assert (server.port, server.url) == (PORT, f"nats://127.0.0.1:{PORT}")
        assert server.pid == machine.processes[0].pid
        assert (tmp_path / "nats").stat().st_mode & 0o777 == 0o700
    assert machine.processes[0].returncode == -signal.SIGTERM
    with pytest.raises(EmbeddedNatsError, match="does not run"):
        _ = server.pid


async def test_only_a_fresh_server_deletes_its_streams(machine: Machine, tmp_path: Path) -> None:
    stream = tmp_path / "nats" / "jetstream" / "stream"
    stream.mkdir(parents=True)
    async with server_in(tmp_path):
        assert stream.exists()
    async with server_in(tmp_path, fresh=True):
        assert not stream.exists()
    assert len(machine.processes) == 2


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("[FTL] listen tcp :4222: bind: address already in use", "the port is in use"),
        ("[ERR] it is broken", "did not start: it is broken"),
        ("nats-server: nats.conf:3:1: unknown field", "unknown field"),
        (None, "did not start: no reason"),
    ],
)
async def test_a_failed_start_has_its_reason(
    machine: Machine, tmp_path: Path, line: str | None, text: str
) -> None:
    def fail(process: FakeProcess) -> None:
        if line is not None:
            process.log(line)
        process.end(1)

    machine.on_start = fail
    with pytest.raises(EmbeddedNatsError, match=text):
        async with server_in(tmp_path):
            pass
    machine.on_start = machine.listen
    async with server_in(tmp_path):  # the folder is not locked any more
        pass


async def test_a_server_that_never_listens_is_ended(
    monkeypatch: pytest.MonkeyPatch, machine: Machine, tmp_path: Path
) -> None:
    monkeypatch.setattr(embedded_server, "START_TIMEOUT_S", 0.0)
    machine.on_start = lambda _process: None
    with pytest.raises(EmbeddedNatsError, match="was not ready within 0 s"):
        async with server_in(tmp_path):
            pass
    assert machine.processes[0].returncode is not None


async def test_a_folder_has_one_server(machine: Machine, tmp_path: Path) -> None:
    async with server_in(tmp_path):
        with pytest.raises(EmbeddedNatsError, match=r"cannot be used .*--home"):
            async with server_in(tmp_path):
                pass
    assert len(machine.processes) == 1


async def test_a_full_disk_is_named(
    monkeypatch: pytest.MonkeyPatch, machine: Machine, tmp_path: Path
) -> None:
    def write(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(embedded_server, "write_private", write)
    with pytest.raises(EmbeddedNatsError, match=r"No space left.*free space on its disk"):
        async with server_in(tmp_path):
            pass
    assert not machine.processes


async def test_a_server_that_ends_is_restarted_on_its_port(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with server_in(tmp_path) as server:
        machine.processes[0].end(2)
        await eventually(lambda: len(machine.processes) == 2)
        await eventually(lambda: server.pid == machine.processes[1].pid)
        assert f"port: {PORT}" in (tmp_path / "nats" / "nats.conf").read_text()
    assert "ended with code 2; restarting it" in caplog.text


async def test_failed_restarts_are_repeated_and_logged_once(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with server_in(tmp_path):
        machine.on_start = lambda process: process.end(1)
        machine.processes[0].end(2)
        await eventually(lambda: len(machine.processes) > 3)
        machine.on_start = machine.listen
    assert caplog.text.count("Could not start the embedded NATS") == 1


async def test_lines_are_logged_with_their_level(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with server_in(tmp_path):
            for line in (
                "[INF] Server is ready",
                "[WRN] Slow consumer",
                "[WRN] Plaintext passwords detected, use nkeys or bcrypt",
                "[ERR] no space left on device",
                "[ERR] no space left on device",
                "unknown field",
            ):
                machine.processes[0].log(line)
    levels = [
        record.levelno for record in caplog.records if record.message.startswith("nats-server: ")
    ]
    info, warning, error = logging.DEBUG, logging.WARNING, logging.ERROR
    assert levels == [info, warning, logging.DEBUG, error, logging.DEBUG, error]


async def test_a_reload_returns_when_the_server_has_accepted_it(
    machine: Machine, tmp_path: Path
) -> None:
    config = tmp_path / "nats" / "nats.conf"
    machine.on_reload = lambda process: process.log("[INF] Reloaded server configuration")
    async with server_in(tmp_path) as server:
        await server.reload(deployment_settings(identities={"sn7": 7}))
        assert "sn7" in config.read_text()


async def test_a_refused_reload_keeps_the_users(
    monkeypatch: pytest.MonkeyPatch, machine: Machine, tmp_path: Path
) -> None:
    config = tmp_path / "nats" / "nats.conf"
    monkeypatch.setattr(embedded_server, "RELOAD_TIMEOUT_S", 0.001)
    async with server_in(tmp_path) as server:
        for line, text in (
            ("[ERR] Failed to reload server configuration: odd", "Failed to reload .*: odd"),
            ("[INF] something else", "no result within"),
        ):
            machine.on_reload = lambda process, line=line: process.log(line)
            with pytest.raises(EmbeddedNatsError, match=text):
                await server.reload(deployment_settings(identities={"sn7": 7}))
            assert "sn7" not in config.read_text()
        monkeypatch.setattr(server, "_process", None)
        with pytest.raises(EmbeddedNatsError, match="does not run"):
            await server.reload(deployment_settings(identities={"sn7": 7}))
        monkeypatch.setattr(server, "_process", machine.processes[0])
