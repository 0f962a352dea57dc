"""EVM addresses whose ownership neurons have proven."""

import asyncio
from dataclasses import dataclass

from pylon.chain.bounds import block_number, u16
from pylon.chain.queries.storage_maps import require_subnet
from pylon.chain.query import Query
from pylon.chain.sdk_types import SUBTENSOR_PALLET, Sdk
from pylon_client.contract.models import Block, EvmAssociation, Skipped, SubnetEvmAssociations
from pylon_client.contract.types import EvmAddress, Hotkey, NetUid


@dataclass(frozen=True, slots=True)
class EvmAssociations(Query[SubnetEvmAssociations]):
    """The EVM addresses of a subnet's neurons."""

    netuid: NetUid

    async def execute(self, sdk: Sdk, block: Block) -> SubnetEvmAssociations:
        """Return the EVM addresses of a subnet's neurons, by hotkey in the order of uids.

        The chain stores them by uid. The entry of an unused uid is skipped.
        """
        netuid = self.netuid
        await require_subnet(sdk, netuid, block)
        entries, keys = await asyncio.gather(
            sdk.query_map(SUBTENSOR_PALLET, "AssociatedEvmAddress", [netuid], block.hash),
            sdk.query_map(SUBTENSOR_PALLET, "Keys", [netuid], block.hash),
        )
        hotkey_by_uid = {u16(uid, "A uid"): Hotkey(hotkey) for uid, hotkey in keys}
        associations: dict[Hotkey, EvmAssociation] = {}
        skipped: list[Skipped] = []
        for uid, (address, proven_in) in sorted(entries):
            hotkey = hotkey_by_uid.get(u16(uid, "A uid"))
            if hotkey is None:
                skipped.append(Skipped(item=f"uid {uid}", reason="no neuron has this uid"))
                continue
            associations[hotkey] = EvmAssociation(
                hotkey=hotkey,
                evm_address=EvmAddress(address),
                last_block_where_ownership_was_proven=block_number(proven_in),
            )
        return SubnetEvmAssociations(block=block, evm_associations=associations, skipped=skipped)
