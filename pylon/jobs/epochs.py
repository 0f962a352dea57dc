"""When weights may be set and when sealed ones are revealed: block arithmetic and nothing else.

Chain rules, of the `SubtensorModule` pallet, as the SDK's epoch reads and its timelock commits
use them: an epoch begins with the block at `LastEpochBlock + Tempo`, or sooner when the subnet's
owner triggers it. Weights that were committed in an epoch are revealed in the one that is
`RevealPeriodEpochs` later. Weights are taken again when `WeightsSetRateLimit` blocks have passed.
"""

from dataclasses import dataclass
from typing import Final

from pylon.chain.write_port import Epoch
from pylon_client.contract.types import BlockNumber

ACCEPTED_SLACK_BLOCKS: Final = 6
"""By so much a worker's idea of the newest block may lag when it accepts a job, by default: three
blocks that were not published yet, and as many of a silent head. Whoever puts weights at the first
block of an epoch must not find that they belong to the one before."""


@dataclass(frozen=True, slots=True)
class BlockWindow:
    """Blocks from `open_block` to just before `close_block`."""

    open_block: BlockNumber
    close_block: BlockNumber


def has_ended(epoch: Epoch, accepted_block: BlockNumber) -> bool:
    """Whether the epoch in which a job was accepted has ended by now."""
    return epoch.start_block > accepted_block + ACCEPTED_SLACK_BLOCKS


def epoch_of_next_block(epoch: Epoch) -> BlockWindow | None:
    """The epoch to which a write belongs that is included in the next block; None without epochs.

    A write that is signed at the last block of an epoch lands in the next one.
    """
    if epoch.next_start_block is None or epoch.tempo == 0:
        return None
    included_block = epoch.block + 1
    start = epoch.start_block
    end = epoch.next_start_block
    if included_block >= end:
        start, end = end, BlockNumber(end + epoch.tempo)
    return BlockWindow(start, end)


def reveal_window(epoch: Epoch, reveal_period_epochs: int) -> BlockWindow | None:
    """When weights are revealed that are sealed now and included in the next block.

    None for a subnet without epochs, which never reveals.
    """
    own = epoch_of_next_block(epoch)
    if own is None:
        return None
    period = max(reveal_period_epochs, 1)
    opens = own.close_block + (period - 1) * epoch.tempo
    return BlockWindow(BlockNumber(opens), BlockNumber(opens + epoch.tempo))


def next_allowed_block(last_update_block: BlockNumber, rate_limit_blocks: int) -> BlockNumber:
    """The first block at which weights are taken again; 0 when they always are."""
    if last_update_block == 0 or rate_limit_blocks == 0:
        return BlockNumber(0)
    return BlockNumber(last_update_block + rate_limit_blocks)
