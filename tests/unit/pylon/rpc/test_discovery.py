"""Responses of NATS service discovery (ADR-32)."""

from pylon.rpc.discovery import SERVICE_NAME, EndpointStatistics, ServiceDiscovery
from pylon_client.contract import json_codec
from pylon_client.contract.operations import Scope
from pylon_client.contract.reads import LATEST_BLOCK


def test_requests_of_all_levels_are_subscribed() -> None:
    discovery = ServiceDiscovery(id="worker1")
    assert discovery.subjects == ("$SRV.*", "$SRV.*.pylon", "$SRV.*.pylon.worker1")


def test_two_workers_have_different_ids() -> None:
    assert ServiceDiscovery().id != ServiceDiscovery().id


def test_an_unknown_verb_has_no_response() -> None:
    assert ServiceDiscovery().respond("$SRV.OTHER") is None


def test_a_ping_is_answered_with_the_name_and_the_id() -> None:
    response = json_codec.decode(ServiceDiscovery(id="worker1").respond("$SRV.PING.pylon") or b"")
    assert response["type"] == "io.nats.micro.v1.ping_response"
    assert (response["name"], response["id"]) == (SERVICE_NAME, "worker1")


def test_the_info_lists_an_endpoint_per_scope_and_operation() -> None:
    discovery = ServiceDiscovery()
    response = json_codec.decode(discovery.respond("$SRV.INFO") or b"")
    assert len(response["endpoints"]) == len(discovery.endpoints)
    assert {"open-block-latest"} <= {endpoint["name"] for endpoint in response["endpoints"]}


def test_the_statistics_have_the_average_and_the_last_error() -> None:
    discovery = ServiceDiscovery()
    statistics = discovery.endpoints[Scope.OPEN, LATEST_BLOCK.name]
    statistics.record(100)
    statistics.record(300, "CHAIN_TIMEOUT: late")
    response = json_codec.decode(discovery.respond("$SRV.STATS") or b"")
    (endpoint,) = (each for each in response["endpoints"] if each["name"] == "open-block-latest")
    assert (endpoint["num_requests"], endpoint["num_errors"]) == (2, 1)
    assert (endpoint["average_processing_time"], endpoint["processing_time"]) == (200, 400)
    assert endpoint["last_error"] == "CHAIN_TIMEOUT: late"


def test_statistics_without_requests_have_an_average_of_zero() -> None:
    assert EndpointStatistics().requests == 0
    response = json_codec.decode(ServiceDiscovery().respond("$SRV.STATS") or b"")
    assert {endpoint["average_processing_time"] for endpoint in response["endpoints"]} == {0}
