"""Hyperparameters in the forms of the runtime APIs."""

from pylon_devnet.apis.hyperparameter_apis import (
    MAX_WEIGHTS_LIMIT,
    hyperparameter_values,
    hyperparameters_v2,
    hyperparameters_v3,
)
from tests.support.chain.devnet_draft import SUBTENSOR, genesis_chain, new_draft


def test_a_subnet_that_does_not_exist_has_no_hyperparameters() -> None:
    assert hyperparameters_v2(new_draft(), 9) is None
    assert hyperparameters_v3(new_draft(), 9) is None


def test_each_version_has_the_stored_values() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "Tempo", 1, 99)
    draft.put(SUBTENSOR, "AlphaValues", 1, (11, 22))
    draft.put(SUBTENSOR, "Yuma3On", 1, True)
    older, newer = hyperparameters_v2(draft, 1), hyperparameters_v3(draft, 1)
    assert older is not None
    assert newer is not None
    named = {one["name"].decode(): next(iter(one["value"].values())) for one in newer}
    for found in (older, named, hyperparameter_values(draft, 1)):
        assert (found["tempo"], found["alpha_low"], found["alpha_high"]) == (99, 11, 22)
        assert found["max_weights_limit"] == MAX_WEIGHTS_LIMIT
    assert older["yuma_version"] == named["yuma_version"] == 3
    assert {name: older[name] for name in named if name in older} == {
        name: known for name, known in named.items() if name in older
    }


def test_the_results_have_the_types_of_the_runtime() -> None:
    codec = genesis_chain().codec
    for method, result in {
        "get_subnet_hyperparams_v2": hyperparameters_v2(new_draft(), 1),
        "get_subnet_hyperparams_v3": hyperparameters_v3(new_draft(), 1),
    }.items():
        assert len(codec.api_output("SubnetInfoRuntimeApi", method, result)) > 80
