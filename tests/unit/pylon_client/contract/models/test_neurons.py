from typing import Any

import pytest
from pydantic import ValidationError

from pylon_client.contract import json_codec
from pylon_client.contract.models import AxonInfo, AxonProtocol, SubnetNeurons

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


def test_a_snapshot_survives_the_wire_unchanged() -> None:
    encoded = json_codec.encode(SubnetNeurons.model_validate(SNAPSHOT))
    assert json_codec.decode(encoded) == SNAPSHOT
    assert SubnetNeurons.model_validate_json(encoded) == SubnetNeurons.model_validate(SNAPSHOT)


def test_every_field_of_a_neuron_is_required() -> None:
    for field in NEURON:
        short = {key: value for key, value in NEURON.items() if key != field}
        with pytest.raises(ValidationError):
            SubnetNeurons.model_validate(SNAPSHOT | {"neurons": {"5H": short}})


@pytest.mark.parametrize(
    ("ip", "serving"), [("0.0.0.0", False), ("::", False), ("192.0.2.1", True)]
)
def test_an_axon_serves_when_it_announced_an_address(ip: str, *, serving: bool) -> None:
    axon = AxonInfo.model_validate({"ip": ip, "port": 0, "protocol": 4})
    assert axon.is_serving is serving
    assert axon.protocol is AxonProtocol.HTTP
