"""Words for what the state says about one subnet, used by runtime APIs, calls and epochs."""

from typing import Any

from pylon_devnet.chain_state import StateReader

SUBTENSOR = "SubtensorModule"
ROOT_NETUID = 0
U16_MAX = 0xFFFF
U64_MAX = 0xFFFF_FFFF_FFFF_FFFF
MAX_TEMPO = 50_400
"""A subnet whose epoch did not run for more blocks than this runs it whatever its schedule says."""
RAO_PER_TAO = 1_000_000_000
MECHANISM_STRIDE = 4096
"""Items of mechanism m are stored under netuid + m x 4096 (GLOBAL_MAX_SUBNET_COUNT)."""


def value(state: StateReader, item: str, *params: Any) -> Any:
    """A storage value of the subtensor pallet."""
    return state.get(SUBTENSOR, item, *params)


def subnet_exists(state: StateReader, netuid: int) -> bool:
    """Whether the subnet was created."""
    return bool(value(state, "NetworksAdded", netuid))


def netuids(state: StateReader) -> list[int]:
    """All subnets, the root network included, in order."""
    return sorted(params[0] for params, added in state.entries(SUBTENSOR, "NetworksAdded") if added)


def storage_index(netuid: int, mechanism: int) -> int:
    """Where per-mechanism items of a subnet are stored."""
    return mechanism * MECHANISM_STRIDE + netuid


def neuron_count(state: StateReader, netuid: int) -> int:
    """How many neurons are registered."""
    return int(value(state, "SubnetworkN", netuid))


def hotkeys(state: StateReader, netuid: int) -> list[str]:
    """The hotkeys of a subnet by uid."""
    return [value(state, "Keys", netuid, uid) for uid in range(neuron_count(state, netuid))]


def uid_of(state: StateReader, netuid: int, hotkey: str) -> int | None:
    """The uid of a hotkey, or None when it is not registered."""
    return value(state, "Uids", netuid, hotkey)


def alpha_stake(state: StateReader, netuid: int, hotkey: str) -> int:
    """Alpha staked to a hotkey on a subnet, in rao; on the root network it is TAO."""
    return int(value(state, "TotalHotkeyAlpha", hotkey, netuid))


def stake_weight(state: StateReader, netuid: int, hotkey: str) -> int:
    """The stake that counts for weights and permits: alpha, and a share of the TAO on root."""
    tao = alpha_stake(state, ROOT_NETUID, hotkey)
    return alpha_stake(state, netuid, hotkey) + tao * value(state, "TaoWeight") // U64_MAX


def uid_vector(
    state: StateReader, item: str, index: int, length: int, default: Any = 0
) -> list[Any]:
    """A per-uid vector, padded to the number of neurons; the caller owns it."""
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

    In a block whose due epoch did not run yet it is the next one (`current_epoch_with_lookahead`).
    """
    index = int(value(state, "SubnetEpochIndex", netuid))
    return index + 1 if is_epoch_due(state, netuid, state.number) else index


def next_epoch_block(state: StateReader, netuid: int) -> int | None:
    """The block of the next epoch, or None when the tempo is 0.

    The chain's rule: the last epoch plus the tempo, or sooner when the owner triggered one.
    """
    tempo = int(value(state, "Tempo", netuid))
    if tempo == 0:
        return None
    scheduled = int(value(state, "LastEpochBlock", netuid)) + tempo
    pending = int(value(state, "PendingEpochAt", netuid))
    return min(scheduled, pending) if pending else scheduled
