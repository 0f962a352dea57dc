"""Reads of the outcome of a write: its inclusion in a block, and its effect on the state."""

from typing import Any

from pylon.chain.bounds import block_number, u16
from pylon.chain.call_composition import WritingSdk
from pylon.chain.head_reads import require_block_hash
from pylon.chain.sdk_types import SUBTENSOR_PALLET, mechanism_storage_index
from pylon.chain.weights_state import last_update_of
from pylon.chain.write_port import Inclusion
from pylon.chain.write_refusals import refusal_of
from pylon_client.contract.jobs import ExtrinsicRecord
from pylon_client.contract.types import (
    BlockNumber,
    Hotkey,
    JobKind,
    MechanismId,
    NetUid,
    NeuronUid,
)


async def find_in_block(
    sdk: WritingSdk, record: ExtrinsicRecord, number: BlockNumber
) -> Inclusion | None:
    """Return the inclusion of an extrinsic in a block; None if the block does not include it."""
    result = await sdk.find_extrinsic(record.hash, await require_block_hash(sdk, number))
    if result is None:
        return None
    if result.success:
        return Inclusion(number)
    error: Any = result.error
    return Inclusion(number, refusal_of(error.name, error.code.value, error.message))


async def shows_write(
    sdk: WritingSdk,
    kind: JobKind,
    netuid: NetUid,
    mechanism: MechanismId | None,
    hotkey: Hotkey,
    block: BlockNumber,
) -> bool:
    """Return whether the state after a block shows a write of this kind in that block."""
    block_hash = await require_block_hash(sdk, block)
    match kind:
        case JobKind.WEIGHTS:
            uid = await sdk.query(SUBTENSOR_PALLET, "Uids", [netuid, hotkey], block_hash)
            index = mechanism_storage_index(netuid, mechanism or MechanismId(0))
            updates = await sdk.query(SUBTENSOR_PALLET, "LastUpdate", [index], block_hash)
            written = last_update_of(updates, None if uid is None else NeuronUid(u16(uid, "A uid")))
        case JobKind.COMMITMENT | JobKind.REVEALED_COMMITMENT:
            stored = await sdk.query("Commitments", "CommitmentOf", [netuid, hotkey], block_hash)
            written = block_number(stored["block"]) if stored else 0
        case JobKind.CERTIFICATE:
            axon = await sdk.query(SUBTENSOR_PALLET, "Axons", [netuid, hotkey], block_hash)
            written = block_number(axon["block"]) if axon else 0
    return written == block
