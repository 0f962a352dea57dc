"""Reads of the chain through the unmodified `bittensor` SDK."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final, cast

from pylon.chain.bounds import ImplausibleError, block_number, parent_hash, timestamp_ms
from pylon.chain.connection_timeouts import ConnectionTimeouts
from pylon.chain.endpoint_label import endpoint_label
from pylon.chain.faults import FaultError, describe_error, fault_of
from pylon.chain.head_reads import find_block_hash, read_best_block
from pylon.chain.node_connection import ConnectionOwner
from pylon.chain.query import Query, ResultT_co
from pylon.chain.sdk_types import Sdk
from pylon.chain.substrate import Substrate, node_url
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockHash, BlockNumber, Timestamp

logger = logging.getLogger(__name__)

Instrument = Callable[[str, str], AbstractContextManager[object]]
"""Returns a context manager that measures an operation, given its name and its netuid or ""."""

_UNSUBSCRIBE_TIMEOUT_S: Final = 5.0
_RESUBSCRIBE_DELAY_S: Final = 1.0
"""Pause before subscribing again after an announcement that the SDK could not parse."""


def _no_instrument(_operation: str, _netuid: str) -> AbstractContextManager[object]:
    return contextlib.nullcontext()


class SubtensorReader:
    """Reads from one chain node, over one connection at a time.

    The connection is opened by the first read.

    Args:
        network: a network's name that the SDK knows (`finney`, `test`, …) or a `ws://` or `wss://`
            URL.
        role: name of the node in error texts; its address is for the log only.
        timeouts: timeouts and limits of the connection.
        check_genesis: receives the genesis hash of the node at each connection; see `Substrate`.
        instrument: measures each operation, from the request to its result or error.

    Raises:
        ValueError: `network` is neither a known name nor a WebSocket URL.

    Attributes:
        endpoint_label: the network's name, or its URL without secrets.
    """

    def __init__(
        self,
        network: str,
        *,
        role: str = "The chain node",
        timeouts: ConnectionTimeouts | None = None,
        check_genesis: Callable[[str], None] | None = None,
        instrument: Instrument = _no_instrument,
    ) -> None:
        url = node_url(network)
        self.endpoint_label: Final = endpoint_label(network)
        self._role = role
        self._instrument = instrument
        self._owner = ConnectionOwner[Sdk](
            lambda: cast("Sdk", Substrate(url, check_genesis)),
            role=role,
            endpoint_label=self.endpoint_label,
            timeouts=timeouts,
        )
        self._unsubscribe_tasks: set[asyncio.Task[None]] = set()

    @property
    def connections_opened(self) -> int:
        """Return the number of connections opened so far."""
        return self._owner.opened_count

    def reconnect_threadsafe(self) -> None:
        """Replace the connection, so that the genesis is checked again; callable by any thread."""
        self._owner.replace_threadsafe()

    async def latest_block(self, *, timeout_s: float) -> Block:
        """Return the newest block of the best chain, with the number that its state contains.

        The node also returns the block's hash for that number.
        """
        with self._instrument("latest_block", ""):
            return await self._owner.call(read_best_block, timeout_s=timeout_s)

    async def block(self, number: BlockNumber, *, timeout_s: float) -> Block:
        """Return the block with this number on the best chain."""

        async def read(sdk: Sdk) -> Block:
            found = await find_block_hash(sdk, number)
            if found is None:
                raise FailureError(ErrorCode.NOT_FOUND, f"Block {number} not found.")
            return Block(number=number, hash=found)

        with self._instrument("block", ""):
            return await self._owner.call(read, timeout_s=timeout_s)

    async def timestamp(self, block: Block, *, timeout_s: float) -> Timestamp:
        """Return the timestamp of a block, in whole seconds since the Unix epoch."""

        async def read(sdk: Sdk) -> Timestamp:
            now_ms = await sdk.query("Timestamp", "Now", [], block.hash)
            return Timestamp(timestamp_ms(now_ms) // 1000)

        with self._instrument("timestamp", ""), self._naming(block):
            return await self._owner.call(read, timeout_s=timeout_s)

    async def parent_hash(self, block: Block, *, timeout_s: float) -> BlockHash:
        """Return the hash of a block's parent."""

        async def read(sdk: Sdk) -> BlockHash:
            return parent_hash(await sdk.raw.rpc_request("chain_getHeader", [block.hash]))

        with self._instrument("parent_hash", ""), self._naming(block):
            return await self._owner.call(read, timeout_s=timeout_s)

    async def query(
        self, query: Query[ResultT_co], block: Block, *, timeout_s: float
    ) -> ResultT_co:
        """Return the result of a query on the state after a block."""
        read = partial(query.execute, block=block)
        with self._instrument(query.name, str(getattr(query, "netuid", ""))), self._naming(block):
            return await self._owner.call(read, timeout_s=timeout_s)

    async def subscribe_heads(self, *, silence_s: float) -> AsyncGenerator[BlockNumber]:
        """Yield the number of each new best block that the node announces.

        There may be gaps and repetitions. A head that cannot be true is logged and left out.

        Args:
            silence_s: seconds without a valid head after which the subscription fails.

        Raises:
            FailureError: CHAIN_TIMEOUT after `silence_s`; otherwise the code of the fault.
        """
        clock_s = asyncio.get_running_loop().time
        async with _failing_timeout(self._role, silence_s):
            connection = await self._owner.connection()
        stream = connection.client.blocks()
        step: asyncio.Future[dict[str, Any]] | None = None
        silent_at_s = clock_s() + silence_s
        level = logging.WARNING
        try:
            while True:
                # A separate task, because the SDK waits without a timeout when it is cancelled.
                step = asyncio.ensure_future(anext(stream))
                await asyncio.wait({step}, timeout=max(silent_at_s - clock_s(), 0.0))
                try:
                    number = self._announced_number(step, silence_s)
                except ImplausibleError as error:
                    logger.log(
                        level, "%s announced an invalid head: %s", self.endpoint_label, error
                    )
                    level = logging.DEBUG
                    if clock_s() >= silent_at_s:
                        raise self._silence_error(silence_s) from None
                    if step.exception() is not None:  # the SDK could not parse it either
                        self._unsubscribe_in_background(stream, None)
                        stream = connection.client.blocks()
                        await asyncio.sleep(_RESUBSCRIBE_DELAY_S)
                    continue
                connection.record_response(clock_s())
                silent_at_s = clock_s() + silence_s
                yield number
        except FailureError:
            self._owner.discard(connection)
            raise
        finally:
            self._unsubscribe_in_background(stream, step)

    async def close(self) -> None:
        """Close the connection; the reader cannot be used afterwards."""
        await self._owner.close()
        if self._unsubscribe_tasks:
            await asyncio.wait(self._unsubscribe_tasks, timeout=1.0)

    @contextlib.contextmanager
    def _naming(self, block: Block) -> Generator[None]:
        """Add the block to the SDK's errors; errors raised by the reads here are complete."""
        try:
            yield
        except FailureError as error:
            if not isinstance(error.__cause__, FaultError):
                raise
            if error.code is ErrorCode.NOT_FOUND:
                raise FailureError(error.code, f"Block {block.number} not found.") from error
            if error.code is ErrorCode.ARCHIVE_REQUIRED:
                detail = f"{self._role} has discarded the state of block {block.number}."
                raise FailureError(error.code, detail) from error
            raise

    def _announced_number(
        self, step: asyncio.Future[dict[str, Any]], silence_s: float
    ) -> BlockNumber:
        if not step.done():
            raise self._silence_error(silence_s)
        try:
            return block_number(step.result()["header"]["number"], "The number of a new block")
        except ImplausibleError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError):
            raise ImplausibleError("An announced block", None) from None
        except StopAsyncIteration:
            detail = f"{self._role} ended the subscription to new blocks."
            raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, detail) from None
        except Exception as error:
            logger.info("Subscription to new blocks ended: %s", describe_error(error))
            fault = fault_of(error)
            raise FailureError(fault.code, fault.detail) from error

    def _silence_error(self, silence_s: float) -> FailureError:
        detail = f"{self._role} announced no block for {silence_s:g} s."
        return FailureError(ErrorCode.CHAIN_TIMEOUT, detail)

    def _unsubscribe_in_background(
        self, stream: AsyncIterator[dict[str, Any]], step: asyncio.Future[dict[str, Any]] | None
    ) -> None:
        """End a subscription without waiting: the SDK sends a request that may get no reply."""

        async def end() -> None:
            if step is not None and not step.done():
                step.cancel()
                await asyncio.wait({step}, timeout=_UNSUBSCRIBE_TIMEOUT_S)
            if step is not None and step.done() and not step.cancelled():
                step.exception()  # retrieved, so that asyncio does not log it
            with contextlib.suppress(Exception):  # the node may be gone
                async with asyncio.timeout(_UNSUBSCRIBE_TIMEOUT_S):
                    await cast("AsyncGenerator[dict[str, Any]]", stream).aclose()

        task = asyncio.create_task(end(), name="unsubscribe from new blocks")
        self._unsubscribe_tasks.add(task)
        task.add_done_callback(self._unsubscribe_tasks.discard)


@contextlib.asynccontextmanager
async def _failing_timeout(role: str, timeout_s: float) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        detail = f"{role} did not answer within {timeout_s:g} s."
        raise FailureError(ErrorCode.CHAIN_TIMEOUT, detail) from None
