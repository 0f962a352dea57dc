"""A real nats-server for one test: its own folder and port, real kills."""

import asyncio
import contextlib
import json
import shutil
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from pylon.nats_server.server_limits import MAX_PAYLOAD_BYTES
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.free_ports import free_ports
from tests.support.product.process_output import output_path

POLL_S = 0.01


def nats_server_binary() -> str:
    """Return the nats-server that is installed beside this interpreter, or else the one on PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "no nats-server is installed"
    return found


class NatsServer:
    """Run nats-server with JetStream on disk: `async with NatsServer(tmp_path) as server:`.

    Its port stays the same, so that clients find the server again after `kill()` and `start()`.

    Args:
        folder: of its configuration, its log and its streams.
        authorization: NATS configuration text that goes into the file as it is, such as an
            `authorization { … }` block; if empty, every client may do everything.
        max_payload_bytes: maximum size of a message.
        name: unique among the servers of a cluster.
        more: further configuration.
        sync_interval: interval between two syncs to disk; Pylon needs "always".

    Attributes:
        replicas: number of copies of each stream.
    """

    replicas = 1

    def __init__(
        self,
        folder: Path,
        authorization: str = "",
        *,
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
        name: str = "nats-server",
        more: str = "",
        sync_interval: str = "always",
    ) -> None:
        self.folder = folder / name
        self.authorization = authorization
        self.max_payload_bytes = max_payload_bytes
        self.name = name
        self.more = more
        self.sync_interval = sync_interval
        (self.port,) = free_ports(1)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "it is not running"
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.folder / "nats.log").read_text()

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it, and return when clients can connect."""
        assert self._process is None, "it is already running"
        for stale in self.folder.glob("*.ports"):
            stale.unlink()
        self._write_config()
        with output_path(self.folder).open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                nats_server_binary(),
                "-c",
                str(self.folder / "nats.conf"),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        async with asyncio.timeout(HANGS_AFTER_S):
            while not self._is_listening():
                assert self._process.returncode is None, self.log
                await asyncio.sleep(POLL_S)

    async def kill(self) -> None:
        """Kill it without warning (SIGKILL), as a power cut or the OOM killer would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Stop it gracefully; it may have been stopped already."""
        await self._end(signal.SIGTERM)

    def send_signal(self, sign: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP and SIGCONT."""
        assert self._process is not None, "it is not running"
        self._process.send_signal(sign)

    async def restart(self) -> None:
        """Kill it and start it again on the same port with the same streams."""
        await self.kill()
        await self.start()

    def reload(self, authorization: str) -> None:
        """Give the running server another authorization; its log shows when it has reloaded."""
        assert self._process is not None, "it is not running"
        self.authorization = authorization
        self._write_config()
        self._process.send_signal(signal.SIGHUP)

    async def _end(self, sign: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(sign)
        await process.wait()

    def _write_config(self) -> None:
        text = f"""
            host: "127.0.0.1"
            port: {self.port}
            server_name: "{self.name}"
            ports_file_dir: "{self.folder}"
            log_file: "{self.folder / "nats.log"}"
            max_payload: {self.max_payload_bytes}
            jetstream {{
                sync_interval: {self.sync_interval}
                store_dir: "{self.folder / "jetstream"}"
            }}
            {self.authorization}
            {self.more}
            """
        path = self.folder / "nats.conf"
        path.write_text(text)
        path.chmod(0o600)

    def _is_listening(self) -> bool:
        for path in self.folder.glob("*.ports"):
            with contextlib.suppress(ValueError):
                return bool(json.loads(path.read_text())["nats"])
        return False
