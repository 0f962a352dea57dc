"""Checks of the chain before it dispatches a call.

The pool rejects a call that fails them with a custom error (pallet_subtensor,
extensions/subtensor.rs). Within a block, where another call may wrap it, the call fails with the
error itself (guards/).
"""

from collections.abc import Callable

from pylon_devnet.calls.dispatch import DecodedCall
from pylon_devnet.calls.serving_calls import axon_error, prometheus_error
from pylon_devnet.calls.weight_calls import has_stake_for_weights, rate_limit_allows
from pylon_devnet.chain_state import StateReader
from pylon_devnet.subnet_state import storage_index, uid_of, value

Guard = Callable[[StateReader, DecodedCall, str, int], str | None]
"""Returns the error for a call that a signer makes in a block, or None."""


def _set_weights(state: StateReader, call: DecodedCall, who: str, block: int) -> str | None:
    netuid = call.arguments["netuid"]
    if not has_stake_for_weights(state, netuid, who):
        return "NotEnoughStakeToSetWeights"
    uid = uid_of(state, netuid, who)
    if uid is None or value(state, "CommitRevealWeightsEnabled", netuid):
        return None
    index = storage_index(netuid, call.arguments.get("mecid", 0))
    return None if rate_limit_allows(state, index, netuid, uid, block) else "SettingWeightsTooFast"


def _commit_timelocked(state: StateReader, call: DecodedCall, who: str, _block: int) -> str | None:
    """Check stake and reveal round; the call itself checks the rate limit of commits."""
    if not has_stake_for_weights(state, call.arguments["netuid"], who):
        return "NotEnoughStakeToSetWeights"
    is_past = call.arguments["reveal_round"] < state.get("Drand", "LastStoredRound")
    return "InvalidRevealRound" if is_past else None


def _serve_axon(state: StateReader, call: DecodedCall, who: str, block: int) -> str | None:
    return axon_error(state, who, call.arguments, block)


def _serve_prometheus(state: StateReader, call: DecodedCall, who: str, block: int) -> str | None:
    return prometheus_error(state, who, call.arguments, block)


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
