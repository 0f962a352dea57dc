"""Sample blocks and neurons."""

import pytest

from pylon_client.contract.ss58 import is_address
from pylon_client.testing import (
    FakePylon,
    operations,
    sample_neuron,
    sample_neurons,
    writes,
)
from pylon_client.v1 import (
    JobId,
    SetWeightsResponse,
    Weight,
)

SECOND = "5DTM9kooMWy5RHoH1fJ5feZ78zVpyRC8u45ni2gBw3pA44xB"
"""The hotkey of the sample with uid 1."""


@pytest.fixture
def pylon() -> FakePylon:
    pylon = FakePylon()
    pylon.answer(operations.LATEST_NEURONS, sample_neurons(count=2))
    return pylon


def test_samples_have_valid_addresses_that_are_equal_in_every_run(
    pylon: FakePylon,
) -> None:
    done = SetWeightsResponse(count=2, job_id=JobId("a" * 26))
    pylon.answer(writes.PUT_WEIGHTS, done)
    with pylon.client() as client:
        neurons = client.identity.get_latest_neurons().neurons
        assert client.identity.put_weights(dict.fromkeys(neurons, Weight(1.0))) == done
    assert sample_neuron(1).hotkey == list(neurons)[1] == SECOND
    keys = {key for neuron in neurons.values() for key in (neuron.hotkey, neuron.coldkey)}
    assert len(keys) == 4
    assert all(map(is_address, keys))
