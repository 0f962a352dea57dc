"""The validators of a subnet, projected from its neurons by workers and bridges."""

from typing import Any


def project_validators(neurons: dict[str, Any]) -> dict[str, Any]:
    """Return the neurons with a validator permit, in descending order of total stake.

    Args:
        neurons: the JSON values of `SubnetNeurons`.

    Returns:
        The JSON values of `SubnetValidators`.
    """
    permitted = [neuron for neuron in neurons["neurons"].values() if neuron["validator_permit"]]
    permitted.sort(key=lambda neuron: (-neuron["stakes"]["total"], neuron["uid"]))
    return {"block": neurons["block"], "skipped": neurons["skipped"], "validators": permitted}
