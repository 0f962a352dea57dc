"""Accessors for the state of subnets, used by runtime APIs, calls and epochs."""

from typing import Any

from pylon_devnet.chain_state import StateReader

SUBTENSOR = "SubtensorModule"
ROOT_NETUID = 0
U16_MAX = 0xFFFF
U64_MAX = 0xFFFF_FFFF_FFFF_FFFF
MAX_TEMPO = 50_400
"""Maximum number of blocks between epochs; a longer gap triggers an epoch."""
RAO_PER_TAO = 1_000_000_000
MECHANISM_STRIDE = 4096
"""Storage of mechanism m is indexed by netuid + m x 4096 (GLOBAL_MAX_SUBNET_COUNT)."""


def value(state: StateReader, item: str, *params: Any) -> Any:
    """Return a storage value of the subtensor pallet."""
    return state.get(SUBTENSOR, item, *params)


def subnet_exists(state: StateReader, netuid: int) -> bool:
    """Return whether the subnet exists."""
    return bool(value(state, "NetworksAdded", netuid))


def netuids(state: StateReader) -> list[int]:
    """Return all netuids, including the root network, in order."""
    return sorted(params[0] for params, added in state.entries(SUBTENSOR, "NetworksAdded") if added)


def storage_index(netuid: int, mechanism: int) -> int:
    """Return the storage index of a subnet's mechanism."""
    return mechanism * MECHANISM_STRIDE + netuid


def neuron_count(state: StateReader, netuid: int) -> int:
    """Return the number of registered neurons."""
    return int(value(state, "SubnetworkN", netuid))


def hotkeys(state: StateReader, netuid: int) -> list[str]:
    """Return the hotkeys of a subnet by uid."""
    return [value(state, "Keys", netuid, uid) for uid in range(neuron_count(state, netuid))]


def uid_of(state: StateReader, netuid: int, hotkey: str) -> int | None:
    """Return the uid of a hotkey, or None if it is not registered."""
    return value(state, "Uids", netuid, hotkey)


def alpha_stake(state: StateReader, netuid: int, hotkey: str) -> int:
    """Return the alpha staked to a hotkey on a subnet, in rao; TAO on the root network."""
    return int(value(state, "TotalHotkeyAlpha", hotkey, netuid))


def stake_weight(state: StateReader, netuid: int, hotkey: str) -> int:
    """Return the stake weight of a hotkey: alpha plus a share of its TAO on root, in rao."""
    tao = alpha_stake(state, ROOT_NETUID, hotkey)
    return alpha_stake(state, netuid, hotkey) + tao * value(state, "TaoWeight") // U64_MAX


def uid_vector(
    state: StateReader, item: str, index: int, length: int, default: Any = 0
) -> list[Any]:
    """Return a copy of a per-uid vector, padded to `length` with `default`."""
    values: list[Any] = list(value(state, item, index))
    return values[:length] + [default] * (length - len(values))


def is_epoch_due(state: StateReader, netuid: int, block: int) -> bool:
    """Return whether a subnet's epoch is to run in a block (`should_run_epoch`)."""
    tempo = int(value(state, "Tempo", netuid))
    if tempo == 0:
        return False
    pending = int(value(state, "PendingEpochAt", netuid))
    if 0 < pending <= block:
        return True
    if int(value(state, "BlocksSinceLastStep", netuid)) > MAX_TEMPO:
        return True
    return block - int(value(state, "LastEpochBlock", netuid)) >= tempo


def epoch_index(state: StateReader, netuid: int) -> int:
    """Return the epoch to which a commit of this block belongs.

    If the block's epoch is due and has not run, it is the next one
    (`current_epoch_with_lookahead`).
    """
    index = int(value(state, "SubnetEpochIndex", netuid))
    return index + 1 if is_epoch_due(state, netuid, state.number) else index


def next_epoch_block(state: StateReader, netuid: int) -> int | None:
    """Return the block of the next epoch, or None if the tempo is 0.

    As on the chain: the last epoch plus the tempo, or earlier if the owner triggered one.
    """
    tempo = int(value(state, "Tempo", netuid))
    if tempo == 0:
        return None
    scheduled = int(value(state, "LastEpochBlock", netuid)) + tempo
    pending = int(value(state, "PendingEpochAt", netuid))
    return min(scheduled, pending) if pending else scheduled
