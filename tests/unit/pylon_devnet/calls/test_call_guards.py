"""Checks before a call is dispatched."""

from typing import Any

import pytest

from pylon_devnet.calls.call_guards import GUARDS
from pylon_devnet.chain_state import Draft
from pylon_devnet.population import hotkey, set_stake
from pylon_devnet.subnet_state import MECHANISM_STRIDE
from tests.support.chain.devnet_draft import SUBTENSOR, decoded_call, new_draft

WHO, BLOCK = hotkey(1, 0), 1000


def guard(draft: Draft, function: str, who: str = WHO, **arguments: Any) -> str | None:
    call = decoded_call(SUBTENSOR, function, **arguments)
    return GUARDS[call.name](draft, call, who, BLOCK)


def set_weights(draft: Draft, netuid: int = 1, who: str = WHO) -> str | None:
    of_one: dict[str, Any] = {"netuid": netuid, "dests": [2], "weights": [1], "version_key": 0}
    return guard(draft, "set_weights", who, **of_one)


def updated(before: int, index: int = 1) -> Draft:
    """Return a state in which the neuron at uid 0 set weights `before` blocks ago."""
    draft = new_draft()
    draft.put(SUBTENSOR, "WeightsSetRateLimit", 1, 100)
    draft.put(SUBTENSOR, "LastUpdate", index, [BLOCK - before] * 16)
    return draft


@pytest.mark.parametrize(
    ("before", "reason"), [(99, "SettingWeightsTooFast"), (100, None), (BLOCK, None)]
)
def test_weights_keep_the_distance_of_the_rate_limit(before: int, reason: str | None) -> None:
    assert set_weights(updated(before)) == reason


def test_each_mechanism_has_its_own_rate_limit() -> None:
    draft = updated(1, MECHANISM_STRIDE + 1)
    of_one: dict[str, Any] = {"netuid": 1, "dests": [2], "weights": [1], "version_key": 0}
    assert guard(draft, "set_mechanism_weights", mecid=0, **of_one) is None
    assert guard(draft, "set_mechanism_weights", mecid=1, **of_one) == "SettingWeightsTooFast"


def test_weights_need_stake_except_for_the_owner() -> None:
    draft = new_draft()
    set_stake(draft, 1, WHO, 0)
    assert set_weights(draft) == "NotEnoughStakeToSetWeights"
    draft.put(SUBTENSOR, "SubnetOwnerHotkey", 1, WHO)
    assert set_weights(draft) is None


def test_the_call_itself_refuses_unregistered_hotkeys_and_sealed_subnets() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "StakeThreshold", 0)
    assert set_weights(draft, netuid=2) is None
    draft = updated(1)
    draft.put(SUBTENSOR, "CommitRevealWeightsEnabled", 1, True)
    assert set_weights(draft) is None


@pytest.mark.parametrize(("drand_round", "reason"), [(99, "InvalidRevealRound"), (100, None)])
def test_a_commit_is_for_a_round_that_is_not_stored(drand_round: int, reason: str | None) -> None:
    draft = updated(1)
    draft.put("Drand", "LastStoredRound", 100)
    sealed: dict[str, Any] = {"netuid": 1, "commit": b"x", "commit_reveal_version": 4}
    sealed["reveal_round"] = drand_round
    assert guard(draft, "commit_timelocked_weights", **sealed) == reason
    assert guard(draft, "commit_timelocked_mechanism_weights", mecid=1, **sealed) == reason
    set_stake(draft, 1, WHO, 0)
    assert guard(draft, "commit_timelocked_weights", **sealed) == "NotEnoughStakeToSetWeights"


def test_endpoints_are_checked_before_the_dispatch() -> None:
    place: dict[str, Any] = {"netuid": 1, "version": 1, "ip": 1, "port": 0, "ip_type": 4}
    axon: dict[str, Any] = {**place, "protocol": 4, "placeholder1": 0, "placeholder2": 0}
    draft = new_draft()
    assert guard(draft, "serve_axon", **axon) == "InvalidPort"
    assert guard(draft, "serve_axon_tls", certificate=b"", **axon) == "InvalidPort"
    assert guard(draft, "serve_prometheus", **place) == "InvalidPort"
    axon["port"] = 80
    assert guard(draft, "serve_axon", **axon) is None
