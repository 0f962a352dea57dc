"""Calls and streams validate their arguments."""

import pytest

from pylon_client.contract import json_codec
from pylon_client.contract.operations import LATEST_NEURONS, Scope
from pylon_client.retry import is_worth_retrying
from pylon_client.testing import sample_neuron, sample_neurons
from pylon_client.transport import OperationCall
from pylon_client.v1 import (
    NetUid,
    PylonResponseException,
)

NEURONS = json_codec.encode(sample_neurons())

OPEN_CALL = OperationCall(LATEST_NEURONS, Scope.OPEN, NetUid(3))


@pytest.mark.parametrize("wrong", [70_000, -1, True, "1"])
def test_an_invalid_netuid_is_named(wrong: object) -> None:
    with pytest.raises(ValueError, match="netuid\n"):
        OperationCall(LATEST_NEURONS, Scope.OPEN, wrong)  # type: ignore[arg-type]


async def test_an_invalid_reply_names_the_field_without_its_value() -> None:
    body = json_codec.decode(NEURONS)
    hotkey = sample_neuron(1).hotkey
    body["neurons"][hotkey]["uid"] = "not-a-uid"
    with pytest.raises(PylonResponseException) as caught:
        OPEN_CALL.decode_reply(json_codec.encode(body))
    assert f"neurons.{hotkey}.uid" in str(caught.value)
    assert "not-a-uid" not in str(caught.value)
    assert not is_worth_retrying(caught.value)
