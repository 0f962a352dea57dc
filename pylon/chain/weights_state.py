"""Reads of the chain state that setting weights depends on, for different runtimes."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from pylon.chain.bounds import U16_MAX, block_number, u16, u64
from pylon.chain.call_composition import WritingSdk
from pylon.chain.head_reads import read_best_block
from pylon.chain.runtime_items import read_optional_storage, read_storage, require_item
from pylon.chain.sdk_types import SUBTENSOR_PALLET, mechanism_storage_index
from pylon.chain.write_port import CommitRevealState, Epoch, WeightsState
from pylon_client.contract.types import (
    MAX_BLOCK_NUMBER,
    BlockNumber,
    Hotkey,
    MechanismId,
    NetUid,
    NeuronUid,
)

DEFAULT_COMMIT_REVEAL_VERSION: Final = 4
"""Version of the commit-reveal protocol on runtimes without `CommitRevealWeightsVersion`."""

_NULL_CONSENSUS_VALUES: Final = ("Null", {"Null": None}, 1)
"""Decoded forms of `SubnetEpochConsensus::Null`."""


async def read_newest_block(sdk: WritingSdk) -> tuple[BlockNumber, str]:
    """Return the number and the hash of the best block."""
    newest = await read_best_block(sdk)
    return newest.number, newest.hash


async def read_epoch(
    sdk: WritingSdk, netuid: NetUid, number: BlockNumber, block_hash: str
) -> Epoch:
    """Return the epoch of a subnet at a block."""
    tempo, last, following = await asyncio.gather(
        read_storage(sdk, SUBTENSOR_PALLET, "Tempo", [netuid], block_hash),
        read_storage(sdk, SUBTENSOR_PALLET, "LastEpochBlock", [netuid], block_hash),
        require_item(
            "SubnetInfoRuntimeApi.get_next_epoch_start_block",
            sdk.runtime_call(
                "SubnetInfoRuntimeApi", "get_next_epoch_start_block", [netuid], block_hash
            ),
        ),
    )
    return Epoch(
        block=number,
        tempo=u16(tempo or 0, "Tempo"),
        start_block=block_number(last or 0, "LastEpochBlock"),
        next_start_block=None if following is None else block_number(following, "The next epoch"),
    )


async def read_weights_state(
    sdk: WritingSdk,
    netuid: NetUid,
    mechanism: MechanismId,
    own_hotkey: Hotkey,
    weighted_hotkeys: Sequence[Hotkey],
) -> WeightsState:
    """Return the chain state that setting weights depends on, at the best block.

    Args:
        sdk: connected to a node.
        netuid: the subnet.
        mechanism: the mechanism of the subnet.
        own_hotkey: the hotkey that sets the weights.
        weighted_hotkeys: the hotkeys whose uids are read.

    Raises:
        FailureError: RUNTIME_UNSUPPORTED with the name of the item that the runtime lacks.
    """
    number, block_hash = await read_newest_block(sdk)
    index = mechanism_storage_index(netuid, mechanism)
    keys = [[netuid, hotkey] for hotkey in (own_hotkey, *weighted_hotkeys)]
    epoch, found = await asyncio.gather(
        read_epoch(sdk, netuid, number, block_hash),
        require_item(
            f"{SUBTENSOR_PALLET}.Uids",
            sdk.query_batch(SUBTENSOR_PALLET, "Uids", keys, block_hash),
        ),
    )

    async def item(name: str, *item_keys: Any) -> Any:
        return await read_storage(sdk, SUBTENSOR_PALLET, name, list(item_keys), block_hash)

    async def maybe(name: str, *item_keys: Any) -> Any:
        return await read_optional_storage(sdk, SUBTENSOR_PALLET, name, list(item_keys), block_hash)

    items: list[Any] = await asyncio.gather(
        item("CommitRevealWeightsEnabled", netuid),
        item("WeightsSetRateLimit", netuid),
        item("LastUpdate", index),
        item("WeightsVersionKey", netuid),
        item("ValidatorPermit", netuid),
        item("MinAllowedWeights", netuid),
        maybe("MaxWeightsLimit", netuid),
        maybe("SubnetEpochConsensus", netuid),
        maybe("SubnetOwnerHotkey", netuid),
    )
    is_timelocked, limit, updates, version_key, permits, least, largest, mode, owner = items
    own_uid, *uids = [None if uid is None else NeuronUid(u16(uid, "A uid")) for uid in found]
    last_update = last_update_of(updates, own_uid)
    commit_reveal, unrevealed = None, 0
    if is_timelocked:
        commit_reveal = await read_commit_reveal(sdk, netuid, epoch, block_hash)
        if last_update >= epoch.start_block:  # otherwise no commit exists in this epoch
            unrevealed = await _count_unrevealed_commits(
                sdk, index, commit_reveal.epoch_index, own_hotkey, block_hash
            )
    return WeightsState(
        block=number,
        epoch=epoch,
        own_uid=own_uid,
        has_permit=bool(own_uid is not None and own_uid < len(permits) and permits[own_uid]),
        owns_subnet=owner == own_hotkey,
        has_null_consensus=mode in _NULL_CONSENSUS_VALUES,
        uids={
            hotkey: uid
            for hotkey, uid in zip(weighted_hotkeys, uids, strict=True)
            if uid is not None
        },
        commit_reveal=commit_reveal,
        unrevealed_commits=unrevealed,
        # Some subnets have the largest u64, which means that weights can be set only once.
        rate_limit_blocks=min(u64(limit or 0, "WeightsSetRateLimit"), MAX_BLOCK_NUMBER),
        last_update_block=last_update,
        version_key=u64(version_key or 0, "WeightsVersionKey"),
        min_allowed_weights=u16(least or 0, "MinAllowedWeights"),
        max_weight_limit=U16_MAX if largest is None else u16(largest, "MaxWeightsLimit"),
    )


async def read_commit_reveal(
    sdk: WritingSdk, netuid: NetUid, epoch: Epoch, block_hash: str
) -> CommitRevealState:
    """Return the commit-reveal state of a subnet at a block."""

    async def item(name: str, *keys: Any) -> int:
        return u64(
            await read_storage(sdk, SUBTENSOR_PALLET, name, list(keys), block_hash) or 0, name
        )

    version, period, pending, index, since = await asyncio.gather(
        read_optional_storage(sdk, SUBTENSOR_PALLET, "CommitRevealWeightsVersion", [], block_hash),
        item("RevealPeriodEpochs", netuid),
        item("PendingEpochAt", netuid),
        item("SubnetEpochIndex", netuid),
        item("BlocksSinceLastStep", netuid),
    )
    return CommitRevealState(
        version=DEFAULT_COMMIT_REVEAL_VERSION if version is None else u16(version, "The version"),
        block=epoch.block,
        tempo=epoch.tempo,
        reveal_period_epochs=period,
        last_epoch_block=epoch.start_block,
        pending_epoch_at=pending,
        epoch_index=index,
        blocks_since_last_step=since,
    )


async def _count_unrevealed_commits(
    sdk: WritingSdk, index: int, epoch_index: int, hotkey: Hotkey, block_hash: str
) -> int:
    """Return the number of commits of a hotkey that the chain stores for an epoch."""
    commits: Any = await read_optional_storage(
        sdk, SUBTENSOR_PALLET, "TimelockedWeightCommits", [index, epoch_index], block_hash
    )
    return sum(1 for commit in commits or () if commit[0] == hotkey)


def last_update_of(updates: Sequence[Any] | None, uid: NeuronUid | None) -> BlockNumber:
    """Return a neuron's entry of `LastUpdate`; 0 if it has no entry."""
    known: Sequence[Any] = updates or ()
    return block_number(known[uid] if uid is not None and uid < len(known) else 0, "LastUpdate")
