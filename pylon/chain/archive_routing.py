"""Routing of reads between the main node and an archive node.

The main node may discard the states of old blocks; an archive node keeps all of them.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from pylon.chain.port import Chain
from pylon.chain.query import Query, ResultT_co
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockHash, BlockNumber, Timestamp

T = TypeVar("T")
NodeT = TypeVar("NodeT")

ARCHIVE_SETTING: Final = "PYLON_BITTENSOR_ARCHIVE_NETWORK"
GENESIS_BLOCK: Final = BlockNumber(0)
DEFAULT_CUTOFF_BLOCKS: Final = 300
"""Default age, in blocks, above which reads go to the archive node.

A full node keeps 256 states by default; some keep a few more.
"""


class NodeRouter(Generic[NodeT]):
    """Chooses between two nodes: by the age of the block, then by the main node's error.

    A block older than the cutoff is read from the archive node only. A younger block is read from
    the archive node if the main node reports that it has discarded the state: it may keep fewer
    states than the cutoff assumes.

    Before its first use, the genesis hash of the archive node is compared with the main node's.

    Args:
        main: the main node, for recent blocks.
        archive: a node that keeps all states, or None.
        cutoff_blocks: age in blocks above which reads go straight to the archive node.
        read_genesis_hash: reads the genesis hash of a node within a timeout in seconds.
        on_fallback: called before each archive read with its reason, `old_block` or
            `state_discarded`, and the name of the operation.

    Attributes:
        newest_block: the number from which ages are counted; None until a block is observed.
    """

    def __init__(
        self,
        main: NodeT,
        archive: NodeT | None,
        cutoff_blocks: int,
        read_genesis_hash: Callable[[NodeT, float], Awaitable[str]],
        *,
        on_fallback: Callable[[str, str], None] = lambda _reason, _operation: None,
    ) -> None:
        self.newest_block: BlockNumber | None = None
        self._read_genesis_hash = read_genesis_hash
        self._archive_verified = False
        self._main = main
        self._archive = archive
        self._cutoff_blocks = cutoff_blocks
        self._on_fallback = on_fallback

    @property
    def nodes(self) -> list[NodeT]:
        """Return the main node and, if there is one, the archive node."""
        return [self._main] if self._archive is None else [self._main, self._archive]

    def observe_block(self, number: BlockNumber) -> None:
        """Set the number from which ages are counted; it may be lower than before."""
        self.newest_block = number

    async def read(
        self,
        number: BlockNumber,
        operation: str,
        timeout_s: float,
        read: Callable[[NodeT, float], Awaitable[T]],
    ) -> T:
        """Read from one of the nodes at a block.

        Args:
            number: the block to read at.
            operation: name of the read, passed to `on_fallback`.
            timeout_s: timeout in seconds, for both nodes together.
            read: reads from a node within a timeout in seconds.

        Raises:
            FailureError: ARCHIVE_REQUIRED if the state is discarded and there is no archive node,
                or the archive node is of another chain. Other errors of the node pass through.
        """
        clock_s = asyncio.get_running_loop().time
        deadline_s = clock_s() + timeout_s
        if self.newest_block is None:
            await self._read_newest_block(timeout_s)
        reason = "old_block"
        # Without an archive node, the main node itself reports a discarded state.
        if self._archive is None or not self._is_old(number):
            reason = "state_discarded"
            try:
                return await read(self._main, max(deadline_s - clock_s(), 0.0))
            except FailureError as error:
                if error.code is not ErrorCode.ARCHIVE_REQUIRED:
                    raise
        if self._archive is None:
            raise FailureError(
                ErrorCode.ARCHIVE_REQUIRED,
                f"Only archive nodes keep the state of block {number}, and none is "
                f"configured: set {ARCHIVE_SETTING}.",
            )
        self._on_fallback(reason, operation)
        await self._verify_archive(self._archive, max(deadline_s - clock_s(), 0.0))
        return await _translate_wrong_chain(read(self._archive, max(deadline_s - clock_s(), 0.0)))

    async def _read_newest_block(self, timeout_s: float) -> None:
        """Find out the newest block, if the router can; without one no block is old."""

    async def _verify_archive(self, archive: NodeT, timeout_s: float) -> None:
        """Compare the genesis hashes of both nodes, once.

        The default archive network is that of mainnet, which may not be the configured chain.
        """
        if self._archive_verified:
            return
        main_genesis, archive_genesis = await asyncio.gather(
            self._read_genesis_hash(self._main, timeout_s),
            _translate_wrong_chain(self._read_genesis_hash(archive, timeout_s)),
        )
        if main_genesis != archive_genesis:
            raise _wrong_archive_error()
        self._archive_verified = True

    def _is_old(self, number: BlockNumber) -> bool:
        return self.newest_block is not None and self.newest_block - number > self._cutoff_blocks


async def read_genesis_hash(chain: Chain, timeout_s: float) -> str:
    """Return the hash of the chain's first block, which identifies the chain."""
    return (await chain.block(GENESIS_BLOCK, timeout_s=timeout_s)).hash


class RoutedChain(NodeRouter[Chain]):
    """A chain read from two nodes.

    Ages are counted from the heads passed to `observe_head`; before the first one, from the newest
    block that was read. Heads that the node announces are not used: they are not confirmed.

    Args:
        main: the main node, for recent blocks and new heads.
        archive: a node that keeps all states, or None.
        cutoff_blocks: age in blocks above which reads go straight to the archive node.
        on_fallback: see `NodeRouter`.
    """

    def __init__(
        self,
        main: Chain,
        archive: Chain | None,
        cutoff_blocks: int,
        *,
        on_fallback: Callable[[str, str], None] = lambda _reason, _operation: None,
    ) -> None:
        super().__init__(main, archive, cutoff_blocks, read_genesis_hash, on_fallback=on_fallback)
        self._has_observed_head = False

    def observe_head(self, number: BlockNumber) -> None:
        """Count ages from this head, even if it is lower than the one before."""
        self._has_observed_head = True
        self.observe_block(number)

    async def latest_block(self, *, timeout_s: float) -> Block:
        """Return the newest block of the best chain."""
        block = await self._main.latest_block(timeout_s=timeout_s)
        if not self._has_observed_head:
            self.observe_block(block.number)
        return block

    def block(self, number: BlockNumber, *, timeout_s: float) -> Coroutine[Any, Any, Block]:
        """Return the block with this number on the best chain."""
        return self.read(
            number, "block", timeout_s, lambda chain, left_s: chain.block(number, timeout_s=left_s)
        )

    def timestamp(self, block: Block, *, timeout_s: float) -> Coroutine[Any, Any, Timestamp]:
        """Return the timestamp of a block, in whole seconds since the Unix epoch."""
        return self.read(
            block.number,
            "timestamp",
            timeout_s,
            lambda chain, left_s: chain.timestamp(block, timeout_s=left_s),
        )

    def parent_hash(self, block: Block, *, timeout_s: float) -> Coroutine[Any, Any, BlockHash]:
        """Return the hash of a block's parent."""
        return self.read(
            block.number,
            "parent_hash",
            timeout_s,
            lambda chain, left_s: chain.parent_hash(block, timeout_s=left_s),
        )

    def query(
        self, query: Query[ResultT_co], block: Block, *, timeout_s: float
    ) -> Coroutine[Any, Any, ResultT_co]:
        """Return the result of a query on the state after a block."""
        return self.read(
            block.number,
            query.name,
            timeout_s,
            lambda chain, left_s: chain.query(query, block, timeout_s=left_s),
        )

    def subscribe_heads(self, *, silence_s: float) -> AsyncGenerator[BlockNumber]:
        """Yield the number of each new best block that the main node announces."""
        return self._main.subscribe_heads(silence_s=silence_s)

    async def close(self) -> None:
        """Close the connections to both nodes."""
        await asyncio.gather(*(node.close() for node in self.nodes))

    async def _read_newest_block(self, timeout_s: float) -> None:
        await self.latest_block(timeout_s=timeout_s)


async def _translate_wrong_chain(awaitable: Awaitable[T]) -> T:
    """Await an archive read; report a refused archive node as a missing one."""
    try:
        return await awaitable
    except FailureError as error:
        if error.code is not ErrorCode.WRONG_CHAIN:
            raise
        raise _wrong_archive_error() from error


def _wrong_archive_error() -> FailureError:
    return FailureError(
        ErrorCode.ARCHIVE_REQUIRED,
        f"The archive node is of another chain than the chain node: set {ARCHIVE_SETTING}.",
    )
