"""`Devnet`: a simulated subtensor node that makes blocks periodically."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from pylon_devnet.control_server import ControlServer
from pylon_devnet.controls import Controls
from pylon_devnet.devnet_options import DevnetOptions

_MAX_BLOCKS_BEHIND = 5


class Devnet(Controls):
    """A simulated subtensor node that listens on a WebSocket.

    Use it as an async context manager, or call `start` and `stop`.

    Args:
        options: options of the node; by default a block every 12 s on port 9944.
    """

    def __init__(self, options: DevnetOptions | None = None) -> None:
        self.options = options or DevnetOptions()
        super().__init__(self.options)
        self._control = ControlServer(self)
        self._block_task: asyncio.Task[None] | None = None
        self._running = asyncio.Event()
        self._failed = asyncio.Event()
        self._failure: Exception | None = None
        self._port = 0
        self._control_port: int | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """WebSocket URL of the node."""
        return f"ws://{self.options.host}:{self._port}"

    @property
    def control_url(self) -> str | None:
        """URL of the control API, or None if it is disabled."""
        if self._control_port is None:
            return None
        return f"http://127.0.0.1:{self._control_port}"

    async def start(self) -> None:
        """Start to listen and to make blocks."""
        await self.advance(max(0, self.options.past_blocks - self.best_number))
        self._port = await self._server.start(self.options.host, self.options.port)
        if self.options.control_port is not None:
            self._control_port = await self._control.start(self.options.control_port)
        if self.options.autostart:
            self._running.set()
        self._block_task = asyncio.create_task(self._produce_blocks())

    async def stop(self) -> None:
        """Stop making blocks, disconnect clients, and close the state folder."""
        try:
            if self._block_task is not None:
                self._block_task.cancel()
                with suppress(asyncio.CancelledError):
                    await self._block_task
        finally:
            await self._server.stop()
            await self._control.stop()
            self.chain.close()

    async def wait_failed(self) -> None:
        """Wait until the node fails to make blocks, and raise the error."""
        failed = asyncio.create_task(self._failed.wait())
        waits = {failed} if self._block_task is None else {failed, self._block_task}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            failed.cancel()
        if self._failure is not None:
            raise self._failure
        if self._block_task is not None:
            self._block_task.result()

    def fail(self, error: Exception) -> None:
        """Stop making blocks: the state in memory differs from the state on disk."""
        self.pause()
        self._failure = self._failure or error
        self._failed.set()

    async def advance(self, blocks: int = 1) -> int:
        """Make `blocks` blocks now; return the new block number."""
        for _ in range(blocks):
            self._make_block()
            await asyncio.sleep(0)
        return self.best_number

    def pause(self) -> None:
        """Make no blocks periodically until `resume`."""
        self._running.clear()

    def resume(self) -> None:
        """Make blocks periodically again after `pause`."""
        self._running.set()

    async def _produce_blocks(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self.options.block_time_s
        while True:
            await asyncio.sleep(due - loop.time())
            if not self._running.is_set():
                await self._running.wait()
                due = loop.time()
            self._make_block()
            due += self.options.block_time_s
            # After the process was suspended, do not make the missed blocks.
            if loop.time() - due > _MAX_BLOCKS_BEHIND * self.options.block_time_s:
                due = loop.time()
