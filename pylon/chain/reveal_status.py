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
from pylon.chain.runtime_items import storage
from pylon.chain.write_port import Seal
from pylon_client.contract.types import BlockNumber, Hotkey, NetUid

_PALLET: Final = "Commitments"
_SEALED: Final = "TimelockEncrypted"


def opens_at_s(reveal_round: int) -> float:
    """Return when a round of drand is published, in seconds since the Unix epoch."""
    return timelock.reveal_time(reveal_round).timestamp()


async def read_seal(
    sdk: WritingSdk, netuid: NetUid, own: Hotkey, made_in: BlockNumber, block_hash: str
) -> Seal:
    """Return what a block shows of the sealed commitment that a hotkey made in an earlier block."""

    async def item(name: str) -> Any:
        return await storage(sdk, _PALLET, name, [netuid, own], block_hash)

    kept, revealed, last = await asyncio.gather(
        item("CommitmentOf"), item("RevealedCommitments"), item("LastCommitment")
    )
    fields: list[Any] = (
        kept["info"]["fields"] if kept and block_number(kept["block"]) == made_in else []
    )
    if any(_SEALED in field for field in fields):
        return Seal.CLOSED
    is_replaced = block_number(last or 0) > made_in
    # What is opened after a later commitment was made, is that one.
    opened_in = [u64(block, "A revelation") for _, block in revealed or () if block > made_in]
    if any(not is_replaced or block <= last for block in opened_in):
        return Seal.OPENED
    return Seal.REPLACED if is_replaced else Seal.BROKEN
