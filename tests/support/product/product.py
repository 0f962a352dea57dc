"""The whole product: `pylon up --devnet` as a process tree."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.chain.devnet_control import DevnetControl
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.free_ports import free_ports
from tests.support.product.http_client import http_client
from tests.support.product.process_output import append_output

POLL_S = 0.05


def processes_under(pid: int) -> dict[int, str]:
    """Return the running descendants of a process: their command lines by pid."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if stat[0] != "Z":
                    parents[int(entry.name)] = int(stat[1])
    found: dict[int, str] = {}
    pids = {pid}
    while pids:
        pids = {child for child, parent in parents.items() if parent in pids} - found.keys()
        for child in pids:
            with contextlib.suppress(OSError):
                command = (Path("/proc") / str(child) / "cmdline").read_bytes()
                found[child] = command.replace(b"\0", b" ").decode()
    return found


@dataclass
class Product:
    """Run `pylon up --devnet` on free ports: `async with Product(tmp_path) as product:`.

    Attributes:
        folder: its working directory; its home is `home` below it.
        block_time_s: seconds per block of the devnet.
        fresh: start with `--fresh`.
        settings: further variables.
        output: everything that it has printed since its start.
    """

    folder: Path
    block_time_s: float = 0.5
    fresh: bool = False
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    port: int = field(init=False)
    nats_port: int = field(init=False)
    devnet_port: int = field(init=False)
    control_port: int = field(init=False)
    output: str = field(default="", init=False)
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)
    _reader: asyncio.Task[None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.port, self.nats_port, self.devnet_port, self.control_port = free_ports(4)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def nats_url(self) -> str:
        return f"nats://127.0.0.1:{self.nats_port}"

    @property
    def control_url(self) -> str:
        return f"http://127.0.0.1:{self.control_port}"

    @property
    def devnet(self) -> DevnetControl:
        return DevnetControl(self.control_url)

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "it does not run"
        return self._process

    def argv(self) -> list[str]:
        return [
            *(sys.executable, "-m", "pylon", "up", "--devnet", "--home", "home"),
            *("--port", str(self.port), "--nats-port", str(self.nats_port)),
            *("--devnet-port", str(self.devnet_port), "--block-time", str(self.block_time_s)),
            *("--devnet-control-port", str(self.control_port)),
            *(["--fresh"] if self.fresh else []),
        ]

    async def start(self) -> None:
        """Start the processes, and return when Pylon is ready."""
        self.output = ""
        self._process = await asyncio.create_subprocess_exec(
            *self.argv(),
            cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder), **self.settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reader = asyncio.create_task(self._read())
        async with asyncio.timeout(HANGS_AFTER_S):
            while "Ctrl-C stops it." not in self.output:
                assert self.process.returncode is None, self.output
                await asyncio.sleep(POLL_S)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.output += line.decode()
            append_output(self.folder, line)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to `pylon up`, and return its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        async with asyncio.timeout(HANGS_AFTER_S):
            code = await self.process.wait()
            if self._reader is not None:
                await self._reader
        return code

    def child(self, pattern: str) -> int:
        """Return the pid of the only process of the tree with this pattern in its command line."""
        children = processes_under(self.process.pid)
        (pid,) = [pid for pid, command in children.items() if re.search(pattern, command)]
        return pid

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET to the REST API."""
        async with http_client(self.url) as client:
            return await client.get(path, **options)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            sys.stderr.write(self.output)
        if self.process.returncode is None:
            await self.stop()
