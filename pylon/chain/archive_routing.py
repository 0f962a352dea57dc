"""Which node reads a block: the ordinary one, or the archive for what the ordinary one forgot."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, Generic, TypeVar

from pylon.chain.port import Chain
from pylon.chain.query import Query, ResultT_co
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockNumber, Timestamp

T = TypeVar("T")
NodeT = TypeVar("NodeT")

ARCHIVE_SETTING: Final = "PYLON_BITTENSOR_ARCHIVE_NETWORK"
GENESIS_BLOCK: Final = BlockNumber(0)
DEFAULT_CUTOFF_BLOCKS: Final = 300
"""Full nodes keep 256 states; the rest is patience with those that keep a few more."""


class NodeRouter(Generic[NodeT]):
    """Chooses between two nodes: by age first, by the node's typed refusal second.

    A block older than the cutoff never reaches the ordinary node. A younger one goes to the
    archive only when the ordinary node says that it discarded the state: a node may keep less
    than the cutoff assumes (a full node keeps 256 states by default).

    Attributes:
        newest_block: the chain's head, from which ages are counted.
    """

    def __init__(
        self,
        lite: NodeT,
        archive: NodeT | None,
        cutoff_blocks: int,
        read_genesis_hash: Callable[[NodeT, float], Awaitable[str]],
        *,
        on_fallback: Callable[[str, str], None] = lambda _reason, _operation: None,
    ) -> None:
        """Join two nodes.

        Args:
            lite: the ordinary node.
            archive: a node that keeps all states, or None.
            cutoff_blocks: blocks older than this go straight to the archive.
            read_genesis_hash: asks a node, within so many seconds, which chain it is of.
            on_fallback: told why the archive is asked, and for what.
        """
        self.newest_block: BlockNumber | None = None
        self._read_genesis_hash = read_genesis_hash
        self._archive_verified = False
        self._lite = lite
        self._archive = archive
        self._cutoff_blocks = cutoff_blocks
        self._on_fallback = on_fallback

    @property
    def nodes(self) -> list[NodeT]:
        """Both nodes, or the ordinary one alone."""
        return [self._lite] if self._archive is None else [self._lite, self._archive]

    def observe_block(self, number: BlockNumber) -> None:
        """Note how far the chain is; it may be less far than it was."""
        self.newest_block = number

    async def read(
        self,
        number: BlockNumber,
        operation: str,
        timeout_s: float,
        read: Callable[[NodeT, float], Awaitable[T]],
    ) -> T:
        """What one of the nodes says about a block.

        Args:
            number: of the block.
            operation: its name, for whoever counts what the archive is asked.
            timeout_s: for both nodes together.
            read: asks a node, within so many seconds.

        Raises:
            FailureError: ARCHIVE_REQUIRED when the state is discarded and there is no archive, or
                one of another chain.
        """
        clock_s = asyncio.get_running_loop().time
        until_s = clock_s() + timeout_s
        reason = "old_block"
        # Without an archive, the ordinary node itself says what it does not have.
        if self._archive is None or not self._is_old(number):
            reason = "state_discarded"
            try:
                return await read(self._lite, timeout_s)
            except FailureError as error:
                if error.code is not ErrorCode.ARCHIVE_REQUIRED:
                    raise
        if self._archive is None:
            raise FailureError(
                ErrorCode.ARCHIVE_REQUIRED,
                f"The state of block {number} is kept by archive nodes only, and none is "
                f"configured: set {ARCHIVE_SETTING}.",
            )
        self._on_fallback(reason, operation)
        await self._check_chain(self._archive, max(until_s - clock_s(), 0.0))
        return await _translate_wrong_chain(read(self._archive, max(until_s - clock_s(), 0.0)))

    async def _check_chain(self, archive: NodeT, timeout_s: float) -> None:
        """See, once, that the archive is of the same chain; its default is for one of many."""
        if self._archive_verified:
            return
        here, there = await asyncio.gather(
            self._read_genesis_hash(self._lite, timeout_s),
            _translate_wrong_chain(self._read_genesis_hash(archive, timeout_s)),
        )
        if here != there:
            raise _wrong_archive_error()
        self._archive_verified = True

    def _is_old(self, number: BlockNumber) -> bool:
        return self.newest_block is not None and self.newest_block - number > self._cutoff_blocks


async def _translate_wrong_chain(awaitable: Awaitable[T]) -> T:
    """Return what an archive node says; raise as for a missing one where it is refused."""
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


async def read_genesis_hash(chain: Chain, timeout_s: float) -> str:
    """What tells one chain from another."""
    return (await chain.block(GENESIS_BLOCK, timeout_s=timeout_s)).hash


class RoutedChain:
    """Two nodes as one chain, by a `NodeRouter` between them.

    An announced head is not believed: ages are counted from the heads that `observe_head` reports,
    and until the first one from the newest block that was read.
    """

    def __init__(
        self,
        lite: Chain,
        archive: Chain | None,
        cutoff_blocks: int,
        *,
        on_fallback: Callable[[str, str], None] = lambda _reason, _operation: None,
    ) -> None:
        """Join two nodes.

        Args:
            lite: the ordinary node, which is also followed.
            archive: a node that keeps all states, or None.
            cutoff_blocks: blocks older than this go straight to the archive.
            on_fallback: told why the archive is asked, and for what.
        """
        self._lite = lite
        self._router = NodeRouter(
            lite, archive, cutoff_blocks, read_genesis_hash, on_fallback=on_fallback
        )
        self._has_observed_head = False

    def observe_head(self, number: BlockNumber) -> None:
        """Note the chain's head, which counts from now on, also where it is a lower one."""
        self._has_observed_head = True
        self._router.observe_block(number)

    async def latest_block(self, *, timeout_s: float) -> Block:
        """The newest block of the best chain."""
        block = await self._lite.latest_block(timeout_s=timeout_s)
        if not self._has_observed_head:
            self._router.observe_block(block.number)
        return block

    async def block(self, number: BlockNumber, *, timeout_s: float) -> Block:
        """The block of that number on the best chain."""
        return await self._route_read(
            number, timeout_s, "block", lambda chain, left_s: chain.block(number, timeout_s=left_s)
        )

    async def timestamp(self, block: Block, *, timeout_s: float) -> Timestamp:
        """When a block was made, in whole seconds since the Unix epoch."""
        return await self._route_read(
            block.number,
            timeout_s,
            "timestamp",
            lambda chain, left_s: chain.timestamp(block, timeout_s=left_s),
        )

    async def query(
        self, query: Query[ResultT_co], block: Block, *, timeout_s: float
    ) -> ResultT_co:
        """The answer to a question as it was after a block."""
        return await self._route_read(
            block.number,
            timeout_s,
            query.name,
            lambda chain, left_s: chain.query(query, block, timeout_s=left_s),
        )

    async def subscribe_heads(self, *, silence_s: float) -> AsyncGenerator[BlockNumber]:
        """The number of each new best block, as the ordinary node announces them."""
        heads = self._lite.subscribe_heads(silence_s=silence_s)
        try:
            async for number in heads:
                yield number
        finally:
            await heads.aclose()

    async def close(self) -> None:
        """Close the connections to both nodes."""
        await asyncio.gather(*(node.close() for node in self._router.nodes))

    async def _route_read(
        self,
        number: BlockNumber,
        timeout_s: float,
        operation: str,
        read: Callable[[Chain, float], Awaitable[T]],
    ) -> T:
        clock_s = asyncio.get_running_loop().time
        until_s = clock_s() + timeout_s
        if self._router.newest_block is None:
            await self.latest_block(timeout_s=timeout_s)
        left_s = max(until_s - clock_s(), 0.0)
        return await self._router.read(number, operation, left_s, read)
