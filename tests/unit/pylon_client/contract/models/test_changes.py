from pylon_client.contract.models import NeuronChanges, SubnetNeurons
from pylon_client.samples import sample_block, sample_neuron, sample_neurons


def test_applied_changes_are_the_neurons_at_their_block() -> None:
    left, kept = sample_neuron(0), sample_neuron(1)
    changes = NeuronChanges(
        block=sample_block(101),
        from_block=sample_block(100),
        registered=[sample_neuron(7)],
        replaced=[],
        deregistered=[left.hotkey],
        changed={kept.hotkey: {"rank": 0.75}},
    )
    newer = [sample_neuron(1, rank=0.75), sample_neuron(7)]
    assert changes.apply_to(sample_neurons(count=2, block_number=100)) == SubnetNeurons(
        block=sample_block(101), neurons={neuron.hotkey: neuron for neuron in newer}
    )
