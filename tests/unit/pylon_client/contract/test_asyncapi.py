"""The contract over NATS as an AsyncAPI document."""

from typing import Any

import pytest

from pylon_client.contract.asyncapi import asyncapi_document
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.operations import NATS_OPERATIONS


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    return asyncapi_document()


def test_addresses_are_subjects_with_names_for_what_varies(asyncapi: dict[str, Any]) -> None:
    addresses = {name: channel["address"] for name, channel in asyncapi["channels"].items()}
    assert addresses["open.block.latest"] == "pylon.v1.open.chain.block.latest"
    assert addresses["open.neurons.at"] == "pylon.v1.open.{netuid}.neurons.at"
    assert addresses["identity.neurons.at"] == "pylon.v1.identity.{identity_name}.neurons.at"
    assert addresses["event.neurons"] == "pylon.v1.event.neurons.{netuid}"
    assert addresses["event.changes"] == "pylon.v1.event.changes.{netuid}"
    assert addresses["event.job"] == "pylon.v1.event.job.{identity_name}.{job_id}"
    assert addresses["reply.neurons.at"] is None


def test_parameters_of_an_address_are_described(asyncapi: dict[str, Any]) -> None:
    channels = asyncapi["channels"]
    assert set(channels["event.job"]["parameters"]) == {"identity_name", "job_id"}
    assert "parameters" not in channels["open.block.latest"]


def test_a_request_has_a_reply_of_success_or_failure(asyncapi: dict[str, Any]) -> None:
    operation = asyncapi["operations"]["open.neurons.at"]
    assert operation["action"] == "receive"
    assert operation["bindings"] == {"nats": {"queue": "pylon"}}
    assert [message["$ref"] for message in operation["reply"]["messages"]] == [
        f"#/channels/reply.neurons.at/messages/{of}" for of in ("success", "failure")
    ]
    assert asyncapi["operations"]["event.block"]["action"] == "send"


def test_every_error_code_is_listed(asyncapi: dict[str, Any]) -> None:
    failure = asyncapi["components"]["messages"]["failure"]
    assert failure["headers"]["properties"]["Pylon-Error"]["enum"] == list(ErrorCode)
    assert failure["headers"]["required"] == ["Pylon-Error"]


def test_unions_have_no_mapping_of_their_discriminator(asyncapi: dict[str, Any]) -> None:
    assert "discriminator" not in str(asyncapi["components"]["schemas"])
    assert len(asyncapi["components"]["messages"]) == 2 * len(NATS_OPERATIONS) + 5
