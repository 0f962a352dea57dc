"""A nats-server from a configuration file of the project, as an operator starts it."""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.nats.nats_server import POLL_S, nats_server_binary
from tests.support.product.eventually import HANGS_AFTER_S


class NatsProcess:
    """Run `nats-server -c config`: `async with NatsProcess(folder, config) as nats:`.

    Args:
        folder: folder of its ports, its log and its streams.
        config: the configuration file, which is not changed.
        more: further options of the command line.
    """

    def __init__(self, folder: Path, config: Path, *more: str) -> None:
        self.folder = folder
        self.config = config
        self.more = more
        self.port = -1
        self._process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> str:
        path = self.folder / "nats.log"
        return path.read_text() if path.exists() else ""

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "it was not started"
        return self._process

    def url(self, scheme: str = "nats") -> str:
        return f"{scheme}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.start()
        return self

    async def start(self) -> None:
        """Start it, on its previous port or on a port that the OS chooses."""
        for stale in self.folder.glob("*.ports"):
            stale.unlink()
        self._process = await asyncio.create_subprocess_exec(
            *(nats_server_binary(), "-c", str(self.config)),
            *("-a", "127.0.0.1", "-p", str(self.port)),
            *("--ports_file_dir", str(self.folder), "-l", str(self.folder / "nats.log")),
            *self.more,
            cwd=self.folder,
            env={**os.environ, "NATS_STORE_DIR": str(self.folder / "data")},
        )
        async with asyncio.timeout(HANGS_AFTER_S):
            while (port := self._port_in_use()) is None:
                assert self._process.returncode is None, self.log
                await asyncio.sleep(POLL_S)
        self.port = port

    async def reload(self) -> None:
        """Make it reload its configuration, and return when it has."""
        reloads = self.log.count("Reloaded server configuration")
        self.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(HANGS_AFTER_S):
            while self.log.count("Reloaded server configuration") == reloads:
                await asyncio.sleep(POLL_S)

    async def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        await self.process.wait()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _port_in_use(self) -> int | None:
        for path in self.folder.glob("*.ports"):
            with contextlib.suppress(ValueError, LookupError):
                url: str = json.loads(path.read_text())["nats"][0]
                return int(url.rsplit(":", 1)[1])
        return None
