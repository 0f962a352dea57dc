"""The submission status of weights in an epoch."""

import asyncio
from dataclasses import dataclass

from pylon.chain.bounds import u16, u64
from pylon.chain.queries.storage_maps import require_subnet
from pylon.chain.query import Query
from pylon.chain.sdk_types import SUBTENSOR_PALLET, Sdk, mechanism_storage_index
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, WeightsStatus
from pylon_client.contract.types import Hotkey, MechanismId, NetUid


@dataclass(frozen=True, slots=True)
class WeightsOf(Query[WeightsStatus]):
    """Whether a hotkey had submitted its weights in the epoch of the block."""

    netuid: NetUid
    mechanism: MechanismId
    hotkey: Hotkey

    async def execute(self, sdk: Sdk, block: Block) -> WeightsStatus:
        """Return whether a hotkey submitted weights between the start of the epoch and a block.

        The chain's rule (`pallet_subtensor`, `subnets/weights.rs` and `coinbase/run_coinbase.rs`):
        an epoch starts at the beginning of block `LastEpochBlock`, before the block's extrinsics,
        so these belong to the new epoch. `LastUpdate` of a uid is set to the block's number when
        plain weights are set and when timelocked weights are committed; a reveal does not change
        it. Registration also sets it, and is recognized by `BlockAtRegistration`.

        Raises:
            FailureError: NOT_FOUND if the subnet or the mechanism does not exist, or the hotkey is
                not registered at the block.
        """
        netuid = self.netuid
        await require_subnet(sdk, netuid, block)
        index = mechanism_storage_index(netuid, self.mechanism)
        mechanisms, uid, updates, epoch_start = await asyncio.gather(
            sdk.query(SUBTENSOR_PALLET, "MechanismCountCurrent", [netuid], block.hash),
            sdk.query(SUBTENSOR_PALLET, "Uids", [netuid, self.hotkey], block.hash),
            sdk.query(SUBTENSOR_PALLET, "LastUpdate", [index], block.hash),
            _read_epoch_start(sdk, self, block),
        )
        if self.mechanism >= u16(mechanisms, "MechanismCountCurrent"):
            raise FailureError(
                ErrorCode.NOT_FOUND, f"Mechanism {self.mechanism} of subnet {netuid} not found."
            )
        if uid is None:
            raise FailureError(
                ErrorCode.NOT_FOUND,
                f"Hotkey {self.hotkey} is not registered on subnet {netuid} "
                f"at block {block.number}.",
            )
        registered_at = await sdk.query(
            SUBTENSOR_PALLET, "BlockAtRegistration", [netuid, uid], block.hash
        )
        updated_at = u64(updates[uid], "LastUpdate") if u16(uid, "A uid") < len(updates) else 0
        on_chain = updated_at >= epoch_start and updated_at > u64(
            registered_at, "BlockAtRegistration"
        )
        return WeightsStatus(weights_submitted=on_chain, weights_on_chain=on_chain)


async def _read_epoch_start(sdk: Sdk, query: WeightsOf, block: Block) -> int:
    try:
        last = await sdk.query(SUBTENSOR_PALLET, "LastEpochBlock", [query.netuid], block.hash)
        return u64(last, "LastEpochBlock")
    except ValueError:  # a runtime without `LastEpochBlock`
        since = await sdk.query(SUBTENSOR_PALLET, "BlocksSinceLastStep", [query.netuid], block.hash)
        return block.number - u64(since, "BlocksSinceLastStep")
