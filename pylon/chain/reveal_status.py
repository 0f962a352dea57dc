"""The reveal status of a timelocked commitment: pending, revealed, failed or replaced.

The pallet `Commitments` decrypts the content of `CommitmentOf` with the drand signature of its
round, and appends the text to `RevealedCommitments`. Content that it cannot decrypt is deleted;
since about spec 446 it is stored as `TimelockRevealFailed`.
"""

import asyncio
from typing import Any, Final

from bittensor import timelock

from pylon.chain.bounds import block_number, u64
from pylon.chain.call_composition import WritingSdk
from pylon.chain.runtime_items import read_storage
from pylon.chain.write_port import RevealStatus
from pylon_client.contract.types import BlockNumber, Hotkey, NetUid

_PALLET: Final = "Commitments"
_TIMELOCKED_FIELD: Final = "TimelockEncrypted"


def reveal_time_s(reveal_round: int) -> float:
    """Return the publication time of a drand round, in seconds since the Unix epoch."""
    return timelock.reveal_time(reveal_round).timestamp()


async def read_reveal_status(
    sdk: WritingSdk, netuid: NetUid, hotkey: Hotkey, commitment_block: BlockNumber, block_hash: str
) -> RevealStatus:
    """Return the reveal status of a hotkey's commitment after a block.

    Args:
        sdk: connected to a node.
        netuid: the subnet.
        hotkey: the hotkey that committed.
        commitment_block: number of the block that includes the commitment.
        block_hash: hash of the block whose state is read.
    """

    async def item(name: str) -> Any:
        return await read_storage(sdk, _PALLET, name, [netuid, hotkey], block_hash)

    stored, revealed, last = await asyncio.gather(
        item("CommitmentOf"), item("RevealedCommitments"), item("LastCommitment")
    )
    fields: list[Any] = (
        stored["info"]["fields"]
        if stored and block_number(stored["block"]) == commitment_block
        else []
    )
    if any(_TIMELOCKED_FIELD in field for field in fields):
        return RevealStatus.PENDING
    is_replaced = block_number(last or 0) > commitment_block
    # A reveal after a later commitment belongs to the later one.
    opened_in = [
        u64(block, "The block of a reveal")
        for _, block in revealed or ()
        if block > commitment_block
    ]
    if any(not is_replaced or block <= last for block in opened_in):
        return RevealStatus.REVEALED
    return RevealStatus.REPLACED if is_replaced else RevealStatus.FAILED
