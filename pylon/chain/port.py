"""What the service asks of the chain, in Pylon's words and models."""

from collections.abc import AsyncGenerator
from typing import Protocol

from pylon.chain.query import Query, ResultT_co
from pylon_client.contract.models import Block, BlockInfo
from pylon_client.contract.types import BlockNumber, Timestamp


class ChainReads(Protocol):
    """Reads of the chain, each of which answers or fails within its `timeout_s`.

    Every method raises `FailureError` and nothing else: NOT_FOUND for a block or a subnet that
    does not exist, CHAIN_UNAVAILABLE when no node answers, CHAIN_TIMEOUT past the deadline,
    ARCHIVE_REQUIRED when the state is discarded and no archive node has it.
    """

    async def latest_block(self, *, timeout_s: float) -> Block:
        """The newest block of the best chain."""
        ...

    async def block(self, number: BlockNumber, *, timeout_s: float) -> Block:
        """The block of that number on the best chain."""
        ...

    async def timestamp(self, block: Block, *, timeout_s: float) -> Timestamp:
        """When a block was made, in whole seconds since the Unix epoch."""
        ...

    async def query(
        self, query: Query[ResultT_co], block: Block, *, timeout_s: float
    ) -> ResultT_co:
        """The answer to a question as it was after a block."""
        ...


class Chain(ChainReads, Protocol):
    """A chain that can also be followed."""

    def subscribe_heads(self, *, silence_s: float) -> AsyncGenerator[BlockNumber]:
        """The number of each new best block, as the node announces them: with gaps and repeats.

        Ends by raising `FailureError` when the subscription breaks or stays silent for
        `silence_s`; whoever follows subscribes again and fills the gap.
        """
        ...

    async def close(self) -> None:
        """Close every connection; the chain cannot be used afterwards."""
        ...


async def read_block_info(chain: ChainReads, block: Block, *, timeout_s: float) -> BlockInfo:
    """A block together with its timestamp."""
    timestamp = await chain.timestamp(block, timeout_s=timeout_s)
    return BlockInfo(number=block.number, hash=block.hash, timestamp=timestamp)
