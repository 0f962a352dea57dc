"""A devnet in a separate process, to be killed and started again."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.chain.devnet_control import DevnetControl
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.free_ports import free_ports
from tests.support.product.preloaded_process import PreloadedProcess, Program
from tests.support.product.process_output import output_path


class DevnetProcess(DevnetControl):
    """A devnet that stores its chain on disk: `async with DevnetProcess(tmp_path) as devnet:`.

    Its port stays the same, so that clients find it again.

    Args:
        folder: parent of the devnet's folder; None to keep the chain in memory.
        block_time_s: seconds per block.
        more: further options of its command line.
    """

    def __init__(self, folder: Path | None, *more: str, block_time_s: float = 0.5) -> None:
        super().__init__()
        self.folder = None if folder is None else folder / "devnet"
        self.block_time_s = block_time_s
        self.more = more
        (self.port,) = free_ports(1)
        self._process: PreloadedProcess | None = None
        self._output: asyncio.StreamReader | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "it is not running"
        return self._process.pid

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end(signal.SIGTERM)

    async def start(self) -> None:
        """Start the process, and return when it accepts connections."""
        assert self._process is None, "it is already running"
        state: list[str] = []
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            state = [f"--state={self.folder}"]
        argv = (
            "pylon_devnet",
            f"--port={self.port}",
            f"--block-time={self.block_time_s}",
            "--control-port=0",
            *state,
            *self.more,
        )
        self._process = PreloadedProcess(
            Program(argv, cwd=Path.cwd(), env=os.environ.copy(), stderr=output_path(self.folder))
        )
        async with asyncio.timeout(HANGS_AFTER_S):
            self._output = await self._process.output()
            while line := (await self._output.readline()).decode():
                if line.startswith("devnet control "):
                    self.control_url = line.split()[-1]
                if line.startswith("devnet ready "):
                    return
        raise AssertionError("the devnet ended before it was ready")

    async def kill(self) -> None:
        """Kill it without warning."""
        await self._end(signal.SIGKILL)

    async def _end(self, sign: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(sign)
        await process.wait()
        if self._output is not None:
            await self._output.read()  # otherwise its transport outlives the process
