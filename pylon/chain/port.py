"""Interfaces for reading the chain, in terms of Pylon's models."""

from collections.abc import AsyncGenerator, Coroutine
from typing import Any, Protocol

from pylon.chain.query import Query, ResultT_co
from pylon_client.contract.models import Block, BlockInfo
from pylon_client.contract.types import BlockHash, BlockNumber, Timestamp


class ChainReads(Protocol):
    """Reads of the chain; each returns or raises within `timeout_s` seconds.

    Every method raises `FailureError` and no other exception: NOT_FOUND for a block or subnet that
    does not exist, CHAIN_UNAVAILABLE if no node responds, CHAIN_TIMEOUT after `timeout_s`,
    ARCHIVE_REQUIRED if the state is discarded and no archive node has it.
    """

    async def latest_block(self, *, timeout_s: float) -> Block:
        """Return the newest block of the best chain."""
        ...

    def block(self, number: BlockNumber, *, timeout_s: float) -> Coroutine[Any, Any, Block]:
        """Return the block with this number on the best chain."""
        ...

    def timestamp(self, block: Block, *, timeout_s: float) -> Coroutine[Any, Any, Timestamp]:
        """Return the timestamp of a block, in whole seconds since the Unix epoch."""
        ...

    def parent_hash(self, block: Block, *, timeout_s: float) -> Coroutine[Any, Any, BlockHash]:
        """Return the hash of a block's parent."""
        ...

    def query(
        self, query: Query[ResultT_co], block: Block, *, timeout_s: float
    ) -> Coroutine[Any, Any, ResultT_co]:
        """Return the result of a query on the state after a block."""
        ...


class Chain(ChainReads, Protocol):
    """A chain whose new heads can be subscribed to."""

    def subscribe_heads(self, *, silence_s: float) -> AsyncGenerator[BlockNumber]:
        """Yield the number of each new best block that the node announces.

        There may be gaps and repetitions. The subscriber subscribes again after an error and reads
        the missed blocks.

        Args:
            silence_s: seconds without a head after which the subscription fails.

        Raises:
            FailureError: the subscription broke, or no head arrived for `silence_s`.
        """
        ...

    async def close(self) -> None:
        """Close all connections; the chain cannot be used afterwards."""
        ...


async def read_block_info(chain: ChainReads, block: Block, *, timeout_s: float) -> BlockInfo:
    """Return a block with its timestamp; raise as `ChainReads` does."""
    timestamp = await chain.timestamp(block, timeout_s=timeout_s)
    return BlockInfo(number=block.number, hash=block.hash, timestamp=timestamp)
