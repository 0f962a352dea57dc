"""Base classes of the models."""

from typing import Any

import pytest

from pylon_client.contract.models import AxonInfo, NeuronCertificate, SubnetNeurons

NEURON: dict[str, Any] = {
    "uid": 0,
    "coldkey": "5C",
    "hotkey": "5H",
    "active": True,
    "axon_info": {"ip": "2001:db8::1", "port": 8091, "protocol": 7},
    "stake": 1.5,
    "rank": 0.0,
    "emission": 0.25,
    "incentive": 0.5,
    "consensus": 0.5,
    "trust": 1.0,
    "validator_trust": 1.0,
    "dividends": 0.0,
    "last_update": 41,
    "validator_permit": True,
    "pruning_score": 65535,
    "stakes": {"alpha": 1.0, "tao": 0.5, "total": 1.5},
}

SNAPSHOT: dict[str, Any] = {
    "block": {"number": 42, "hash": "0x" + "ab" * 32},
    "skipped": [],
    "neurons": {"5H": NEURON},
}


def test_unknown_keys_are_ignored() -> None:
    newer = SNAPSHOT | {"added_later": 1, "neurons": {"5H": NEURON | {"also": 2}}}
    assert SubnetNeurons.model_validate(newer) == SubnetNeurons.model_validate(SNAPSHOT)


def test_an_unknown_protocol_is_accepted() -> None:
    axon = AxonInfo.model_validate(NEURON["axon_info"])
    assert (axon.protocol, axon.protocol.name) == (7, "UNKNOWN_7")


@pytest.mark.parametrize("model", [AxonInfo, NeuronCertificate])
def test_a_schema_of_known_numbers_accepts_other_integers(
    model: type[AxonInfo | NeuronCertificate],
) -> None:
    (schema,) = model.model_json_schema()["$defs"].values()
    assert schema["type"] == "integer"
    assert not {"enum", "const"} & set(schema)
    assert "is HTTP" in schema["description"] or "is ED25519" in schema["description"]
