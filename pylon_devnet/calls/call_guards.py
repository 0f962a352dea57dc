"""What the chain checks before it dispatches a call.

The pool refuses such a call with a custom error (pallet_subtensor, extensions/subtensor.rs). In a
block, where another call may wrap it, it fails with the error itself (guards/).
"""

from collections.abc import Callable

from pylon_devnet.calls.dispatch import Call
from pylon_devnet.calls.serving_calls import axon_refusal, prometheus_refusal
from pylon_devnet.calls.weight_calls import has_stake_for_weights, may_set_now
from pylon_devnet.chain_state import State
from pylon_devnet.subnet_state import storage_index, uid_of, value

Guard = Callable[[State, Call, str, int], str | None]
"""Returns the error for a call that a signer makes in a block, or None."""


def _set_weights(state: State, call: Call, who: str, block: int) -> str | None:
    netuid = call.arguments["netuid"]
    if not has_stake_for_weights(state, netuid, who):
        return "NotEnoughStakeToSetWeights"
    uid = uid_of(state, netuid, who)
    if uid is None or value(state, "CommitRevealWeightsEnabled", netuid):
        return None
    index = storage_index(netuid, call.arguments.get("mecid", 0))
    return None if may_set_now(state, index, netuid, uid, block) else "SettingWeightsTooFast"


def _commit_timelocked(state: State, call: Call, who: str, _block: int) -> str | None:
    """The rate limit of these commits is left to the call itself."""
    if not has_stake_for_weights(state, call.arguments["netuid"], who):
        return "NotEnoughStakeToSetWeights"
    is_past = call.arguments["reveal_round"] < state.get("Drand", "LastStoredRound")
    return "InvalidRevealRound" if is_past else None


def _serve_axon(state: State, call: Call, who: str, block: int) -> str | None:
    return axon_refusal(state, who, call.arguments, block)


def _serve_prometheus(state: State, call: Call, who: str, block: int) -> str | None:
    return prometheus_refusal(state, who, call.arguments, block)


GUARDS: dict[str, Guard] = {
    "SubtensorModule.set_weights": _set_weights,
    "SubtensorModule.set_mechanism_weights": _set_weights,
    "SubtensorModule.commit_timelocked_weights": _commit_timelocked,
    "SubtensorModule.commit_timelocked_mechanism_weights": _commit_timelocked,
    "SubtensorModule.serve_axon": _serve_axon,
    "SubtensorModule.serve_axon_tls": _serve_axon,
    "SubtensorModule.serve_prometheus": _serve_prometheus,
}
"""By `Pallet.function`."""
