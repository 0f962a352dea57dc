"""Validators are projected from neurons with the bytes of their model."""

from hypothesis import given
from hypothesis import strategies as st

from pylon.common.validator_projection import project_validators
from pylon_client.contract import json_codec
from pylon_client.contract.models import SubnetValidators
from pylon_client.samples import sample_neurons

SAMPLE = sample_neurons(1)
AMOUNTS = st.floats(min_value=0, max_value=1e9, allow_nan=False)


@given(st.lists(st.tuples(AMOUNTS, st.booleans()), max_size=8))
def test_the_projection_is_the_encoded_model(of: list[tuple[float, bool]]) -> None:
    neuron, *_ = SAMPLE.neurons.values()
    neurons = {
        f"{neuron.hotkey[:-2]}{uid:02d}": neuron.model_copy(
            update={
                "uid": uid,
                "validator_permit": permit,
                "stakes": neuron.stakes.model_copy(update={"total": total}),
            }
        )
        for uid, (total, permit) in enumerate(of)
    }
    subnet = SAMPLE.model_copy(update={"neurons": neurons})
    permitted = [each for each in neurons.values() if each.validator_permit]
    expected = SubnetValidators(
        block=subnet.block,
        skipped=subnet.skipped,
        validators=sorted(permitted, key=lambda each: (-each.stakes.total, each.uid)),
    )
    projected = project_validators(json_codec.decode(json_codec.encode(subnet)))
    assert json_codec.encode(projected) == json_codec.encode(expected)
