"""Calculate in which blocks weights may be set and timelocked weights are revealed.

Chain rules, from the `SubtensorModule` pallet, as the SDK's epoch reads and timelock commits use
them: an epoch begins with the block at `LastEpochBlock + Tempo`, or sooner if the subnet's owner
triggers it. Weights that were committed in an epoch are revealed `RevealPeriodEpochs` epochs later.
The chain accepts weights of a hotkey again after `WeightsSetRateLimit` blocks.
"""

from dataclasses import dataclass
from typing import Final

from pylon.chain.write_port import Epoch
from pylon_client.contract.types import BlockNumber

ACCEPTED_SLACK_BLOCKS: Final = 6
"""Maximum number of blocks by which a worker's newest block may lag when it accepts a job, with
default settings: three blocks that are not published yet and three of a silent head. Weights that
are put at the first block of an epoch must not be assigned to the previous epoch."""


@dataclass(frozen=True, slots=True)
class BlockWindow:
    """A range of blocks from `open_block` up to, but not including, `close_block`."""

    open_block: BlockNumber
    close_block: BlockNumber


def has_ended(epoch: Epoch, accepted_block: BlockNumber) -> bool:
    """Return whether the epoch in which a job was accepted has ended."""
    return epoch.start_block > accepted_block + ACCEPTED_SLACK_BLOCKS


def epoch_of_next_block(epoch: Epoch) -> BlockWindow | None:
    """Return the epoch of the next block; None for a subnet without epochs.

    A write that is signed at the last block of an epoch is included in the next epoch.
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
    """Return when weights are revealed that are timelocked now and included in the next block.

    Returns:
        None for a subnet without epochs, which never reveals.
    """
    write_epoch = epoch_of_next_block(epoch)
    if write_epoch is None:
        return None
    period = max(reveal_period_epochs, 1)
    opens = write_epoch.close_block + (period - 1) * epoch.tempo
    return BlockWindow(BlockNumber(opens), BlockNumber(opens + epoch.tempo))


def next_allowed_block(last_update_block: BlockNumber, rate_limit_blocks: int) -> BlockNumber:
    """Return the first block in which the chain accepts weights again; 0 without a rate limit."""
    if last_update_block == 0 or rate_limit_blocks == 0:
        return BlockNumber(0)
    return BlockNumber(last_update_block + rate_limit_blocks)
