"""Neurons as the runtime API returns them."""

from typing import Any

from pylon_devnet.apis.neuron_apis import API_METHODS, NO_AXON, neurons_lite
from pylon_devnet.population import coldkey, hotkey
from pylon_devnet.subnet_state import alpha_stake
from tests.support.chain.devnet_draft import SUBTENSOR, genesis_chain, new_draft


def call(method: str, *arguments: Any) -> Any:
    return API_METHODS[f"NeuronInfoRuntimeApi_{method}"](new_draft(), *arguments)


def test_neurons_come_in_the_order_of_uids_with_their_columns() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "Incentive", 1, [uid * 10 for uid in range(16)])
    neurons = neurons_lite(draft, 1)
    assert [one["uid"] for one in neurons] == list(range(16))
    assert [one["incentive"] for one in neurons] == [uid * 10 for uid in range(16)]
    assert [one["hotkey"] for one in neurons] == [hotkey(1, uid) for uid in range(16)]
    stakes = [[(coldkey(1, uid), alpha_stake(draft, 1, hotkey(1, uid)))] for uid in range(16)]
    assert [one["stake"] for one in neurons] == stakes


def test_columns_that_are_too_short_are_padded() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "Dividends", 1, [7])
    draft.put(SUBTENSOR, "ValidatorPermit", 1, [])
    neurons = neurons_lite(draft, 1)
    assert [one["dividends"] for one in neurons] == [7, *[0] * 15]
    assert not any(one["validator_permit"] for one in neurons)


def test_a_neuron_without_an_axon_has_an_empty_one() -> None:
    draft = new_draft()
    axon = {**NO_AXON, "ip": 1, "port": 2}
    draft.put(SUBTENSOR, "Axons", 1, hotkey(1, 0), axon)
    draft.delete(SUBTENSOR, "Axons", 1, hotkey(1, 1))
    first, second, *_ = neurons_lite(draft, 1)
    assert first["axon_info"] == axon
    assert second["axon_info"] == NO_AXON


def test_one_neuron_is_the_one_of_the_list() -> None:
    assert call("get_neuron_lite", 1, 3) == call("get_neurons_lite", 1)[3]
    full = call("get_neuron", 1, 3)
    assert full == call("get_neurons", 1)[3]
    assert full["weights"] == new_draft().get(SUBTENSOR, "Weights", 1, 3) != []


def test_missing_subnets_and_uids_have_no_neurons() -> None:
    assert call("get_neurons_lite", 9) == call("get_neurons", 9) == []
    for method in ("get_neuron", "get_neuron_lite"):
        assert call(method, 9, 0) is None
        assert call(method, 1, 16) is None


def test_the_results_have_the_types_of_the_runtime() -> None:
    codec = genesis_chain().codec
    for method, arguments in {
        "get_neurons": (1,),
        "get_neuron": (1, 3),
        "get_neurons_lite": (1,),
        "get_neuron_lite": (1, 3),
    }.items():
        result = call(method, *arguments)
        assert len(codec.api_output("NeuronInfoRuntimeApi", method, result)) > 100
