"""The last blocks of the chain, as far as each is the parent of the next one."""

from typing import Final

from pylon_client.contract.models import Block
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import BlockHash, BlockNumber

MAX_LINKED_BLOCKS: Final = EVENTS.max_msgs_per_subject
"""Maximum number of linked blocks: the event stream stores as many."""


class LinkedBlocks:
    """The newest block and its ancestors, without gaps.

    A block whose parent is not the newest block starts again: after a reorg or a missed block, it
    is not known which of the earlier blocks are still part of the chain.

    Attributes:
        newest: the newest block; None before the first one.
    """

    def __init__(self) -> None:
        self.newest: Block | None = None
        self._hashes: dict[BlockNumber, BlockHash] = {}

    def __contains__(self, block: Block) -> bool:
        return self._hashes.get(block.number) == block.hash

    def append(self, block: Block, parent_hash: str) -> BlockNumber:
        """Add a block; return the number of the oldest block that is linked to it."""
        if (
            self.newest is None
            or self.newest.number + 1 != block.number
            or self.newest.hash != parent_hash
        ):
            self._hashes.clear()
        self.newest = block
        self._hashes[block.number] = block.hash
        oldest = next(iter(self._hashes))
        if len(self._hashes) > MAX_LINKED_BLOCKS:
            del self._hashes[oldest]
            oldest = BlockNumber(oldest + 1)
        return oldest

    def clear(self) -> None:
        """Forget all blocks."""
        self.newest = None
        self._hashes.clear()
