"""Setting weights in the open and committing to them under a time lock.

The order of the checks is the chain's (pallet_subtensor, subnets/weights.rs).
"""

from collections.abc import Sequence

from pylon.devnet.calls.dispatch import Call, Dispatch, Handler, ensure
from pylon.devnet.codec import blake2b_256, public_key
from pylon.devnet.runtime.scale import compact, read_compact
from pylon.devnet.state import Draft, State
from pylon.devnet.subnet import (
    ROOT_NETUID,
    SUBTENSOR,
    U16_MAX,
    column,
    exists,
    neuron_count,
    stake_weight,
    storage_index,
    uid_of,
    value,
)

UNREVEALED_COMMITS_LIMIT = 10
COMMIT_LIMIT_BYTES = 5000


def has_stake_for_weights(state: State, netuid: int, hotkey: str) -> bool:
    """Whether a hotkey has the stake weight that setting weights takes."""
    return stake_weight(state, netuid, hotkey) >= value(state, "StakeThreshold")


def may_set_now(state: State, index: int, netuid: int, uid: int, block: int) -> bool:
    """Whether a neuron last set or committed weights long enough ago."""
    last = column(state, "LastUpdate", index, neuron_count(state, netuid))[uid]
    return last == 0 or block - last >= value(state, "WeightsSetRateLimit", netuid)


def store_weights(
    draft: Draft, index: int, uid: int, miners: Sequence[int], weights: Sequence[int]
) -> None:
    """Stores a row of weights, scaled so that the largest is 65535."""
    top = max(weights, default=0) or 1
    row = [(miner, weight * U16_MAX // top) for miner, weight in zip(miners, weights, strict=True)]
    draft.put(SUBTENSOR, "Weights", index, uid, row)


def touch(draft: Draft, index: int, netuid: int, uid: int) -> None:
    """Notes that a neuron set or committed weights in this block."""
    updates = column(draft, "LastUpdate", index, neuron_count(draft, netuid))
    updates[uid] = draft.number
    draft.put(SUBTENSOR, "LastUpdate", index, updates)


def _set_weights(dispatch: Dispatch, call: Call) -> None:
    draft, who = dispatch.draft, dispatch.ensure_signed()
    netuid = call.arguments["netuid"]
    mechanism = call.arguments.get("mecid", 0)
    index = storage_index(netuid, mechanism)
    miners, weights = list(call.arguments["dests"]), list(call.arguments["weights"])
    ensure(not value(draft, "CommitRevealWeightsEnabled", netuid), "CommitRevealEnabled")
    ensure(len(miners) == len(weights), "WeightVecNotEqualSize")
    ensure(netuid != ROOT_NETUID, "CanNotSetRootNetworkWeights")
    uid = _ensure_weigher(draft, netuid, mechanism, who)
    version = value(draft, "WeightsVersionKey", netuid)
    ensure(version == 0 or call.arguments["version_key"] >= version, "IncorrectWeightVersionKey")
    ensure(may_set_now(draft, index, netuid, uid, draft.number), "SettingWeightsTooFast")
    check_row(draft, netuid, uid, miners, weights)
    store_weights(draft, index, uid, miners, weights)
    touch(draft, index, netuid, uid)
    dispatch.emit(SUBTENSOR, "WeightsSet", (index, uid))


def check_row(
    state: State, netuid: int, uid: int, miners: Sequence[int], weights: Sequence[int]
) -> None:
    """Checks a row of weights as the chain does.

    Raises:
        DispatchError: the chain would not take it.
    """
    is_self = list(miners) == [uid]
    permits = column(state, "ValidatorPermit", netuid, neuron_count(state, netuid), default=False)
    ensure(is_self or permits[uid], "NeuronNoValidatorPermit")
    ensure(len(set(miners)) == len(miners), "DuplicateUids")
    count = neuron_count(state, netuid)
    ensure(len(miners) <= count, "UidsLengthExceedUidsInSubNet")
    ensure(all(miner < count for miner in miners), "UidVecContainInvalidOne")
    least = min(value(state, "MinAllowedWeights", netuid), count)
    ensure(is_self or len(miners) >= least, "WeightVecLengthIsLow")
    limit = value(state, "MaxWeightsLimit", netuid)
    heaviest, total = max(weights, default=0), sum(weights)
    ensure(is_self or heaviest * U16_MAX <= limit * max(1, total), "MaxWeightExceeded")


def _ensure_weigher(draft: Draft, netuid: int, mechanism: int, who: str) -> int:
    ensure(exists(draft, netuid), "SubnetNotExists")
    ensure(mechanism < value(draft, "MechanismCountCurrent", netuid), "MechanismDoesNotExist")
    uid = uid_of(draft, netuid, who)
    ensure(uid is not None, "HotKeyNotRegisteredInSubNet")
    ensure(has_stake_for_weights(draft, netuid, who), "NotEnoughStakeToSetWeights")
    return uid or 0


def _commit_timelocked(dispatch: Dispatch, call: Call) -> None:
    draft, who = dispatch.draft, dispatch.ensure_signed()
    netuid = call.arguments["netuid"]
    mechanism = call.arguments.get("mecid", 0)
    index = storage_index(netuid, mechanism)
    commit, reveal_round = call.raw["commit"], call.arguments["reveal_round"]
    size, offset = read_compact(commit, 0)
    ensure(size <= COMMIT_LIMIT_BYTES, "CommitPayloadTooLarge")
    version = value(draft, "CommitRevealWeightsVersion")
    ensure(call.arguments["commit_reveal_version"] == version, "IncorrectCommitRevealVersion")
    ensure(exists(draft, netuid), "SubnetNotExists")
    ensure(value(draft, "CommitRevealWeightsEnabled", netuid), "CommitRevealDisabled")
    uid = _ensure_weigher(draft, netuid, mechanism, who)
    ensure(may_set_now(draft, index, netuid, uid, draft.number), "CommittingWeightsTooFast")
    pending = draft.entries(SUBTENSOR, "TimelockedWeightCommits", index)
    mine = sum(1 for _, commits in pending for one in commits if one[0] == who)
    ensure(mine < UNREVEALED_COMMITS_LIMIT, "TooManyUnrevealedCommits")
    entry = (
        public_key(who)
        + draft.number.to_bytes(8, "little")
        + commit
        + reveal_round.to_bytes(8, "little")
    )
    where = (index, value(draft, "SubnetEpochIndex", netuid))
    before = draft.get_raw(SUBTENSOR, "TimelockedWeightCommits", *where) or b"\x00"
    count, behind = read_compact(before, 0)
    # The ciphertext is kept byte for byte: decoded bytes would not survive the way back.
    draft.put_raw(
        SUBTENSOR, "TimelockedWeightCommits", where, compact(count + 1) + before[behind:] + entry
    )
    touch(draft, index, netuid, uid)
    digest = "0x" + blake2b_256(commit[offset:]).hex()
    dispatch.emit(SUBTENSOR, "TimelockedWeightsCommitted", (who, index, digest, reveal_round))


HANDLERS: dict[str, Handler] = {
    "SubtensorModule.set_weights": _set_weights,
    "SubtensorModule.set_mechanism_weights": _set_weights,
    "SubtensorModule.commit_timelocked_weights": _commit_timelocked,
    "SubtensorModule.commit_timelocked_mechanism_weights": _commit_timelocked,
}
