"""`Devnet`: a chain, the clock that makes its blocks, and the servers that show it."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from pylon.devnet.blocks import Block, Header
from pylon.devnet.calls.admin import HYPERPARAMETERS
from pylon.devnet.calls.registration import add_neuron
from pylon.devnet.chain import Chain
from pylon.devnet.codec import blake2b_256, public_key
from pylon.devnet.connections import Connections
from pylon.devnet.control import ControlServer
from pylon.devnet.execution import AppliedExtrinsic, Executor
from pylon.devnet.faults import Faults
from pylon.devnet.options import DevnetOptions
from pylon.devnet.pool import Pool, Tell
from pylon.devnet.requests import RequestLog, RequestRecord
from pylon.devnet.rpc import NodeRpc
from pylon.devnet.rpc_error import RpcError
from pylon.devnet.subnet import SUBTENSOR, storage_index

_BLOCKS_BEHIND = 5


class Devnet:
    """A simulated subtensor node that listens on a WebSocket.

    Use it as an async context manager, or call `start` and `stop`.

    Args:
        options: how it behaves; the defaults make a block every 12 s on port 9944.

    Attributes:
        chain: the chain itself.
        pool: the extrinsics that wait.
        faults: what is made to go wrong; see also the methods.
    """

    def __init__(self, options: DevnetOptions | None = None) -> None:
        self.options = options or DevnetOptions()
        self.chain = Chain(self.options)
        self.faults = Faults()
        executor = Executor(self.chain.codec, self.chain.declaration, self.chain.genesis_hash)
        self.pool = Pool(executor, lambda: self.chain.at(None), self.chain.hash)
        self._log = RequestLog()
        self._rpc = NodeRpc(self.chain, self.pool, self._submit, self._log)
        self._connections = Connections(
            self._rpc.call, self._rpc.note, self._submit, self._current, self.faults
        )
        self._control = ControlServer(self)
        self._ticking: asyncio.Task[None] | None = None
        self._running = asyncio.Event()
        self._port = 0
        self._control_port: int | None = None
        self._finality_stalled = False

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
        """Where clients connect to."""
        return f"ws://{self.options.host}:{self._port}"

    @property
    def control_url(self) -> str | None:
        """Where the control API is, if it was asked for."""
        if self._control_port is None:
            return None
        return f"http://127.0.0.1:{self._control_port}"

    @property
    def best_number(self) -> int:
        """Height of the newest block."""
        return self.chain.best.number

    @property
    def finalized_number(self) -> int:
        """Height of the newest final block."""
        return self.chain.finalized_number

    async def start(self) -> None:
        """Listens, and starts to make blocks."""
        self._port = await self._connections.start(self.options.host, self.options.port)
        if self.options.control_port is not None:
            self._control_port = await self._control.start(self.options.control_port)
        if self.options.autostart:
            self._running.set()
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Stops making blocks, lets clients go, and leaves the state folder in order."""
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
        await self._connections.stop()
        await self._control.stop()
        self.chain.close()

    async def advance(self, blocks: int = 1) -> int:
        """Makes so many blocks now; returns the new height."""
        for _ in range(blocks):
            self._make_block()
            await asyncio.sleep(0)
        return self.best_number

    def pause(self) -> None:
        """Makes no blocks by itself until `resume`."""
        self._running.clear()

    def resume(self) -> None:
        """Makes blocks as time passes again."""
        self._running.set()

    def prune(self, keep_blocks: int) -> None:
        """Discards the state of all blocks but the newest `keep_blocks` ones."""
        self.chain.prune(keep_blocks)

    def request_counts(self) -> dict[str, int]:
        """How many requests there were since `clear_requests`, by method.

        Runtime calls are counted as `state_call:Api_method`.
        """
        return self._log.counts()

    def requests(self) -> list[RequestRecord]:
        """The newest 10,000 requests, oldest first."""
        return self._log.records()

    def clear_requests(self) -> None:
        """Forgets the requests so far."""
        self._log.clear()

    def drop_connections(self) -> int:
        """Cuts every connection; returns how many there were."""
        return self._connections.drop_all()

    def refuse_connections(self, seconds: float) -> None:
        """Refuses new connections for so long."""
        self.faults.refuse_connections(seconds)

    def applied_extrinsics(self) -> list[AppliedExtrinsic]:
        """The newest 10,000 extrinsics that blocks of the chain included, oldest first."""
        return list(self.pool.applied)

    def stall_finality(self) -> None:
        """Makes no block final until `resume_finality`."""
        self._finality_stalled = True

    def resume_finality(self) -> None:
        """Makes everything but the newest block final again."""
        self._finality_stalled = False
        self._finalize(self.best_number - 1)

    async def reorg(self, depth: int) -> int:
        """Replaces the newest `depth` blocks by one more; returns the new height.

        What they included waits in the pool again. Blocks that were final are replaced too: stall
        finality first to have a reorganisation as it happens on a chain.
        """
        self.chain.rewind(depth)
        self.pool.retract(self.best_number)
        return await self.advance(depth + 1)

    def drop_extrinsics(self) -> int:
        """Throws everything out of the pool; returns how much that was."""
        return self.pool.drop_all()

    def reveal(
        self, netuid: int, hotkey: str, uids: list[int], weights: list[int], mechanism: int = 0
    ) -> None:
        """Tells the plaintext of weights that a hotkey committed; they take effect when due."""
        self.chain.reveals.tell(storage_index(netuid, mechanism), hotkey, uids, weights)

    def set_hyperparameter(self, netuid: int, item: str, value: Any) -> None:
        """Sets a hyperparameter, named as its storage item, with the next block.

        Raises:
            ValueError: it is none that can be set.
        """
        if item not in HYPERPARAMETERS:
            raise ValueError(f"{item} is not one of {', '.join(sorted(HYPERPARAMETERS))}")
        self.set_storage(SUBTENSOR, item, [netuid], value)

    def set_storage(self, pallet: str, item: str, params: list[Any], value: Any) -> None:
        """Sets any storage item with the next block.

        Raises:
            ValueError: there is no such item, or the value does not fit it.
        """
        try:
            entry = self.chain.codec.storage_entry(pallet, item)
            self.chain.codec.encode(entry.value_type, value)
            self.chain.codec.storage_key(pallet, item, params)
        except (KeyError, TypeError) as error:
            raise ValueError(str(error)) from error
        self.chain.intend(lambda draft: draft.put(pallet, item, *params, value))

    def register_neuron(self, netuid: int, hotkey: str, coldkey: str) -> None:
        """Makes a hotkey a neuron of a subnet, without a price, with the next block."""
        public_key(hotkey), public_key(coldkey)
        self.chain.intend(lambda draft: add_neuron(draft, netuid, hotkey, coldkey))

    def trigger_epoch(self, netuid: int) -> None:
        """Has the subnet's epoch end with the next block."""
        self.set_storage(SUBTENSOR, "PendingEpochAt", [netuid], self.best_number + 1)

    def go_silent(self) -> None:
        """Keeps connections but answers nothing, until `speak`; what was asked stays unanswered."""
        self.faults.silent = True

    def speak(self) -> None:
        """Ends the silence."""
        self.faults.silent = False

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self.options.block_time_s
        while True:
            await asyncio.sleep(due - loop.time())
            if not self._running.is_set():
                await self._running.wait()
                due = loop.time()
            self._make_block()
            due += self.options.block_time_s
            # After a long stop of the whole process there is nothing to catch up with.
            if loop.time() - due > _BLOCKS_BEHIND * self.options.block_time_s:
                due = loop.time()

    def _make_block(self) -> Block:
        block = self.chain.make_block(self.pool.apply)
        self.pool.settle(block)
        self._connections.announce_head(block.header)
        if not self._finality_stalled:
            self._finalize(block.number - 1)
        return block

    def _finalize(self, number: int) -> None:
        for height in range(self.chain.finalized_number + 1, number + 1):
            self.chain.finalized_number = height
            hash_ = self.chain.hash(height)
            block = None if hash_ is None else self.chain.block(hash_)
            if block is not None:
                self._connections.announce_final(block.header)
            self.pool.finalize(height)

    def _current(self) -> tuple[Header, Header]:
        final = self.chain.block(self.chain.finalized_hash())
        return self.chain.best.header, (final or self.chain.best).header

    def _submit(self, extrinsic: str, tell: Tell | None) -> bytes:
        raw = bytes.fromhex(extrinsic.removeprefix("0x"))
        refusal = self.faults.next_refusal()
        if refusal is not None:
            raise RpcError(refusal.code, refusal.message, refusal.data)
        if self.faults.swallows_next():
            return blake2b_256(raw)
        muted = tell is not None and self.faults.mutes_next()
        return self.pool.submit(raw, None if muted else tell)
