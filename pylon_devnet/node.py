"""`Devnet`: a simulated subtensor node that makes blocks periodically."""

import asyncio
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from pylon_devnet.control_server import Control, ControlServer
from pylon_devnet.controls import Controls
from pylon_devnet.devnet_options import DevnetOptions

_MAX_BLOCKS_BEHIND = 5
MAX_ADVANCE_BLOCKS = 10_000
"""Maximum number of blocks that one request of the control API makes."""
ADVANCE_TIMEOUT_S = 50.0
"""Timeout of a request of the control API that makes blocks, in seconds."""


class Devnet(Controls):
    """A simulated subtensor node that listens on a WebSocket.

    Use it as an async context manager, or call `start` and `stop`.

    Args:
        options: options of the node; by default a block every 12 s on port 9944.
    """

    def __init__(self, options: DevnetOptions | None = None) -> None:
        self.options = options or DevnetOptions()
        super().__init__(self.options)
        self._control = ControlServer(self._controls(), self.fail)
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

    def _controls(self) -> dict[tuple[str, str], Control]:
        """Return the controls of the control API by method and path."""
        return {
            ("GET", "/status"): self._status,
            ("GET", "/requests"): lambda: [asdict(record) for record in self.requests()],
            ("GET", "/requests/counts"): self.request_counts,
            ("DELETE", "/requests"): self.clear_requests,
            ("GET", "/applied"): lambda: [asdict(one) for one in self.applied_extrinsics()],
            ("GET", "/applied/counts"): self.applied_counts,
            ("GET", "/pool/most-in-flight"): self.most_in_flight,
            ("POST", "/advance"): self._advance_in_time,
            ("POST", "/pause"): self.pause,
            ("POST", "/resume"): self.resume,
            ("POST", "/prune"): self.prune,
            ("POST", "/stall-finality"): self.stall_finality,
            ("POST", "/resume-finality"): self.resume_finality,
            ("POST", "/reorg"): self.reorg,
            ("POST", "/drop-connections"): self.drop_connections,
            ("POST", "/refuse-connections"): self.refuse_connections,
            ("POST", "/refuse-handshakes"): self.refuse_handshakes,
            ("POST", "/go-silent"): self.go_silent,
            ("POST", "/speak"): self.speak,
            ("POST", "/delay-method"): self.delay_method,
            ("POST", "/fail-method"): self.fail_method,
            ("POST", "/drop-extrinsics"): self.drop_extrinsics,
            ("POST", "/announce-head"): self.announce_head,
            ("POST", "/falsify-headers"): self.falsify_headers,
            ("POST", "/refuse-extrinsics"): self.refuse_extrinsics,
            ("POST", "/swallow-extrinsics"): self.swallow_extrinsics,
            ("POST", "/mute-watches"): self.mute_watches,
            ("POST", "/reveal"): self.reveal,
            ("POST", "/reveal-commitment"): self.reveal_commitment,
            ("POST", "/drand-signature"): self.drand_signature,
            ("POST", "/set-hyperparameter"): self.set_hyperparameter,
            ("POST", "/set-storage"): self.set_storage,
            ("POST", "/register-neuron"): self.register_neuron,
            ("POST", "/deregister-neuron"): self.deregister_neuron,
            ("POST", "/trigger-epoch"): self.trigger_epoch,
        }

    def _status(self) -> dict[str, Any]:
        return {
            "best_number": self.best_number,
            "finalized_number": self.finalized_number,
            "oldest_state_number": self.chain.history.oldest,
            "genesis_hash": "0x" + self.chain.genesis_hash.hex(),
            "url": self.url,
        }

    async def _advance_in_time(self, blocks: int = 1) -> int:
        """Make blocks now; return the new block number.

        Raises:
            ValueError: `blocks` is out of range, or the time limit was exceeded; the text states
                how many blocks were made.
        """
        if type(blocks) is not int or not 1 <= blocks <= MAX_ADVANCE_BLOCKS:
            raise ValueError(
                f"blocks is {blocks!r}; a request makes 1 to {MAX_ADVANCE_BLOCKS} blocks"
            )
        now_s = asyncio.get_running_loop().time
        end_s = now_s() + ADVANCE_TIMEOUT_S
        for made in range(blocks):
            if now_s() > end_s:
                raise ValueError(f"made {made} of {blocks} blocks in {ADVANCE_TIMEOUT_S:.0f} s")
            await self.advance()
        return self.best_number
