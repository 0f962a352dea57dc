"""The rule by which stored values of the chain count as its newest ones, for workers and bridges.

A stored value is fresh while the head of the chain has moved within the limit of silence, and the
value's block is at most `MAX_LAG_BLOCKS` away from that head.
"""

from typing import Final

from pylon_client.contract.types import BlockNumber

MAX_LAG_BLOCKS: Final = 3
"""Maximum distance of a fresh snapshot from the head, in blocks."""


def is_near_head(number: BlockNumber, head: BlockNumber) -> bool:
    """Return whether a block is at most `MAX_LAG_BLOCKS` away from the head.

    It is checked in both directions: events of another chain may be far ahead of the head.
    """
    return abs(head - number) <= MAX_LAG_BLOCKS


def age_blocks(
    number: BlockNumber, head: BlockNumber, silent_s: float, block_duration_s: float
) -> int:
    """Return the age of a block in blocks.

    Args:
        number: of the block.
        head: the chain's last known head.
        silent_s: seconds since that head advanced; the age grows by one block per block time.
        block_duration_s: the chain's block time, in seconds.
    """
    return max(head - number, 0) + int(silent_s / block_duration_s)
