"""Changes of a subnet's neurons between two blocks."""

from typing import Any

from pylon_client.contract.models.base import BittensorModel, Block, Collection
from pylon_client.contract.models.neurons import Neuron, SubnetNeurons
from pylon_client.contract.types import Hotkey, NeuronUid


class ReplacedNeuron(BittensorModel):
    """A uid that another hotkey has taken over, and the new neuron."""

    uid: NeuronUid
    old_hotkey: Hotkey
    neuron: Neuron


class NeuronChanges(Collection):
    """What changed in a subnet's neurons from one block to another one.

    Attributes:
        from_block: the block of the older neurons.
        registered: new neurons on uids that were free.
        replaced: new neurons on uids of neurons that have left.
        deregistered: hotkeys that have left without a new neuron on their uids.
        changed: the changed fields of all other neurons, with their new values, by hotkey. A change
            within `axon_info` or `stakes` contains the whole value. A neuron that has registered
            again on another uid has a changed `uid`.
    """

    from_block: Block
    registered: list[Neuron]
    replaced: list[ReplacedNeuron]
    deregistered: list[Hotkey]
    changed: dict[Hotkey, dict[str, Any]]

    def apply_to(self, older: SubnetNeurons) -> SubnetNeurons:
        """Return the neurons at `block`, from those at `from_block`.

        Raises:
            ValueError: the older neurons are not those at `from_block`.
        """
        from pylon_client.contract import json_codec  # noqa: PLC0415 - imported if used
        from pylon_client.contract.snapshot_changes import (  # noqa: PLC0415
            apply_changes,
        )

        newer = apply_changes(json_codec.encode(older), json_codec.encode(self))
        return SubnetNeurons.model_validate_json(newer)
