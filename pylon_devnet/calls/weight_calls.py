"""Calls that set weights or commit to timelocked weights.

The order of the checks is that of runtime 425 (pallet_subtensor, subnets/weights.rs). The checks
before the dispatch are in `call_guards`.
"""

from collections.abc import Sequence

from pylon_devnet.calls.dispatch import (
    CallHandler,
    DecodedCall,
    DispatchContext,
    DispatchError,
    ensure,
)
from pylon_devnet.chain_state import Draft, StateReader
from pylon_devnet.codec import blake2b_256, public_key
from pylon_devnet.runtime.scale_encoding import decode_compact, encode_compact
from pylon_devnet.subnet_state import (
    ROOT_NETUID,
    SUBTENSOR,
    U16_MAX,
    epoch_index,
    neuron_count,
    stake_weight,
    storage_index,
    subnet_exists,
    uid_of,
    uid_vector,
    value,
)

MAX_UNREVEALED_COMMITS = 10
"""Maximum timelocked commits of one hotkey in one epoch of a subnet."""
MAX_COMMIT_BYTES = 5000
"""Maximum size of a timelocked commit on a subnet of Yuma consensus."""

_FRACTION_BITS = 32  # of the fixed-point numbers that the chain computes weights with
_UPSCALE_THRESHOLD = 32768


def is_owner(state: StateReader, netuid: int, hotkey: str) -> bool:
    """Return whether a hotkey is the registered hotkey of the subnet's owner."""
    owner = value(state, "SubnetOwnerHotkey", netuid)
    return owner == hotkey and uid_of(state, netuid, hotkey) is not None


def has_stake_for_weights(state: StateReader, netuid: int, hotkey: str) -> bool:
    """Return whether a hotkey may set weights by its stake; the subnet's owner needs none."""
    if is_owner(state, netuid, hotkey):
        return True
    return stake_weight(state, netuid, hotkey) >= value(state, "StakeThreshold")


def rate_limit_allows(state: StateReader, index: int, netuid: int, uid: int, block: int) -> bool:
    """Return whether the rate limit lets a neuron set or commit weights in a block."""
    last = uid_vector(state, "LastUpdate", index, neuron_count(state, netuid))[uid]
    return last == 0 or block - last >= value(state, "WeightsSetRateLimit", netuid)


def set_weights_row(
    draft: Draft,
    netuid: int,
    mechanism: int,
    who: str,
    uids: Sequence[int],
    weights: Sequence[int],
    version_key: int | None = None,
) -> None:
    """Check a row of weights as the chain does, and store it.

    On subnets with commit-reveal, this applies revealed weights, whose rate limit was checked when
    they were committed.

    Args:
        draft: state of the block.
        netuid: the subnet.
        mechanism: mechanism id.
        who: the validator's hotkey.
        uids: uids of the weighted neurons.
        weights: weight of each uid, 0 to 65535.
        version_key: version key of the call; None skips the check.

    Raises:
        DispatchError: the chain rejects the weights.
    """
    uses_commit_reveal = value(draft, "CommitRevealWeightsEnabled", netuid)
    index = storage_index(netuid, mechanism)
    ensure(netuid != ROOT_NETUID, "CanNotSetRootNetworkWeights")
    ensure(len(uids) == len(weights), "WeightVecNotEqualSize")
    _ensure_mechanism(draft, netuid, mechanism)
    count = neuron_count(draft, netuid)
    ensure(len(uids) <= count, "UidsLengthExceedUidsInSubNet")
    uid = _ensure_registered(draft, netuid, who)
    ensure(has_stake_for_weights(draft, netuid, who), "NotEnoughStakeToSetWeights")
    least_key = value(draft, "WeightsVersionKey", netuid)
    is_current = version_key is None or least_key == 0 or version_key >= least_key
    ensure(is_current, "IncorrectWeightVersionKey")
    in_time = uses_commit_reveal or rate_limit_allows(draft, index, netuid, uid, draft.number)
    ensure(in_time, "SettingWeightsTooFast")
    is_self = list(uids) == [uid]
    permits = uid_vector(draft, "ValidatorPermit", netuid, count, default=False)
    permitted = is_self or permits[uid] or is_owner(draft, netuid, who)
    ensure(permitted, "NeuronNoValidatorPermit")
    ensure(len(set(uids)) == len(uids), "DuplicateUids")
    ensure(all(miner < count for miner in uids), "UidVecContainInvalidOne")
    least = min(value(draft, "MinAllowedWeights", netuid), count)
    ensure(is_self or len(uids) >= least, "WeightVecLengthIsLow")
    row = list(zip(uids, upscale(weights), strict=True))
    draft.put(SUBTENSOR, "Weights", index, uid, row)
    if not uses_commit_reveal:
        _set_last_update(draft, index, netuid, uid)


def upscale(weights: Sequence[int]) -> list[int]:
    """Scale weights so that the largest is 65535, rounded as the chain rounds.

    The chain (epoch/math.rs, `vec_max_upscale_to_u16`) computes with 32 fractional bits and rounds
    halves up; where the largest is above 32768 it rounds the factor first.
    """
    top = max(weights, default=0)
    if top == 0:
        return list(weights)
    if top > _UPSCALE_THRESHOLD:
        factor = (U16_MAX << _FRACTION_BITS) // top
        scaled = [weight * factor for weight in weights]
    else:
        scaled = [(weight * U16_MAX << _FRACTION_BITS) // top for weight in weights]
    half = 1 << _FRACTION_BITS - 1
    return [min(U16_MAX, fixed + half >> _FRACTION_BITS) for fixed in scaled]


def _set_last_update(draft: Draft, index: int, netuid: int, uid: int) -> None:
    """Store that a neuron set or committed weights in this block."""
    updates = uid_vector(draft, "LastUpdate", index, neuron_count(draft, netuid))
    updates[uid] = draft.number
    draft.put(SUBTENSOR, "LastUpdate", index, updates)


def _ensure_mechanism(state: StateReader, netuid: int, mechanism: int) -> None:
    known = subnet_exists(state, netuid) and mechanism < value(
        state, "MechanismCountCurrent", netuid
    )
    ensure(known, "MechanismDoesNotExist")


def _ensure_registered(state: StateReader, netuid: int, who: str) -> int:
    uid = uid_of(state, netuid, who)
    if uid is None:
        raise DispatchError("HotKeyNotRegisteredInSubNet")
    return uid


def _set_weights(dispatch: DispatchContext, call: DecodedCall) -> None:
    draft, who = dispatch.draft, dispatch.ensure_signed()
    netuid, mechanism = call.arguments["netuid"], call.arguments.get("mecid", 0)
    ensure(not value(draft, "CommitRevealWeightsEnabled", netuid), "CommitRevealEnabled")
    row = list(call.arguments["dests"]), list(call.arguments["weights"])
    set_weights_row(draft, netuid, mechanism, who, *row, call.arguments["version_key"])
    index = storage_index(netuid, mechanism)
    dispatch.emit(SUBTENSOR, "WeightsSet", (index, uid_of(draft, netuid, who)))


def _commit_timelocked(dispatch: DispatchContext, call: DecodedCall) -> None:
    draft, who = dispatch.draft, dispatch.ensure_signed()
    netuid = call.arguments["netuid"]
    mechanism = call.arguments.get("mecid", 0)
    index = storage_index(netuid, mechanism)
    commit, reveal_round = call.raw["commit"], call.arguments["reveal_round"]
    size, offset = decode_compact(commit, 0)
    _ensure_mechanism(draft, netuid, mechanism)
    ensure(value(draft, "CommitRevealWeightsEnabled", netuid), "CommitRevealDisabled")
    version = value(draft, "CommitRevealWeightsVersion")
    ensure(call.arguments["commit_reveal_version"] == version, "IncorrectCommitRevealVersion")
    ensure(size <= MAX_COMMIT_BYTES, "CommitPayloadTooLarge")
    uid = _ensure_registered(draft, netuid, who)
    ensure(rate_limit_allows(draft, index, netuid, uid, draft.number), "CommittingWeightsTooFast")
    storage_params = (index, epoch_index(draft, netuid))
    pending = value(draft, "TimelockedWeightCommits", *storage_params)
    own_commits = sum(1 for one in pending if one[0] == who)
    ensure(own_commits < MAX_UNREVEALED_COMMITS, "TooManyUnrevealedCommits")
    entry = (
        public_key(who)
        + draft.number.to_bytes(8, "little")
        + commit
        + reveal_round.to_bytes(8, "little")
    )
    before = draft.get_raw(SUBTENSOR, "TimelockedWeightCommits", *storage_params) or b"\x00"
    count, count_end = decode_compact(before, 0)
    # The ciphertext is stored as signed: decoding and encoding would not restore its bytes.
    draft.put_raw(
        SUBTENSOR,
        "TimelockedWeightCommits",
        storage_params,
        encode_compact(count + 1) + before[count_end:] + entry,
    )
    _set_last_update(draft, index, netuid, uid)
    digest = "0x" + blake2b_256(commit[offset:]).hex()
    dispatch.emit(SUBTENSOR, "TimelockedWeightsCommitted", (who, index, digest, reveal_round))


HANDLERS: dict[str, CallHandler] = {
    "SubtensorModule.set_weights": _set_weights,
    "SubtensorModule.set_mechanism_weights": _set_weights,
    "SubtensorModule.commit_timelocked_weights": _commit_timelocked,
    "SubtensorModule.commit_timelocked_mechanism_weights": _commit_timelocked,
}
