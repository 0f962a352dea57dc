"""What became of a sealed commitment: opened by the chain, broken, replaced, or still closed.

The pallet `Commitments` opens what lies in `CommitmentOf` with the drand signature of its round,
and appends the text to `RevealedCommitments`. What it cannot open it deletes; from about spec 446
on it keeps it as `TimelockRevealFailed`.
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
    """Return when a round of drand is published, in seconds since the Unix epoch."""
    return timelock.reveal_time(reveal_round).timestamp()


async def read_reveal_status(
    sdk: WritingSdk, netuid: NetUid, hotkey: Hotkey, commitment_block: BlockNumber, block_hash: str
) -> RevealStatus:
    """Return what a block shows of the sealed commitment that a hotkey made in an earlier block."""

    async def item(name: str) -> Any:
        return await read_storage(sdk, _PALLET, name, [netuid, hotkey], block_hash)

    kept, revealed, last = await asyncio.gather(
        item("CommitmentOf"), item("RevealedCommitments"), item("LastCommitment")
    )
    fields: list[Any] = (
        kept["info"]["fields"] if kept and block_number(kept["block"]) == commitment_block else []
    )
    if any(_TIMELOCKED_FIELD in field for field in fields):
        return RevealStatus.PENDING
    is_replaced = block_number(last or 0) > commitment_block
    # What is opened after a later commitment was made, is that one.
    opened_in = [
        u64(block, "A revelation") for _, block in revealed or () if block > commitment_block
    ]
    if any(not is_replaced or block <= last for block in opened_in):
        return RevealStatus.REVEALED
    return RevealStatus.REPLACED if is_replaced else RevealStatus.FAILED
