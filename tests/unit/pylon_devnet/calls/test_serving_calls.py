"""Axons, prometheus endpoints and certificates."""

from typing import Any

import pytest

from pylon_devnet.calls.serving_calls import axon_error, prometheus_error
from pylon_devnet.chain_state import Draft
from pylon_devnet.population import hotkey
from pylon_devnet.runtime.scale_encoding import encode_bytes
from tests.support.chain.devnet_draft import SUBTENSOR, decoded_call, execute_call, new_draft

WHO, BLOCK = hotkey(1, 0), 1000
PLACE = {"netuid": 1, "version": 1, "ip": 0xCB007107, "port": 80, "ip_type": 4}
AXON = {**PLACE, "protocol": 4, "placeholder1": 0, "placeholder2": 0}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({}, None),
        ({"netuid": 2}, "HotKeyNotRegisteredInNetwork"),
        ({"ip_type": 5}, "InvalidIpType"),
        ({"ip": 0x7F000001}, "InvalidIpAddress"),
        ({"ip": (1 << 32) - 1}, "InvalidIpAddress"),
        ({"ip": (1 << 32) - 2}, None),
        ({"ip": 1 << 32}, "InvalidIpAddress"),
        ({"ip": 1, "ip_type": 6}, "InvalidIpAddress"),
        ({"ip": 1 << 100, "ip_type": 6}, None),
        ({"ip": (1 << 128) - 1, "ip_type": 6}, "InvalidIpAddress"),
        ({"port": 0}, "InvalidPort"),
    ],
)
def test_an_endpoint_has_an_address_and_a_port(change: dict[str, Any], error: str | None) -> None:
    given = {**PLACE, **change}
    assert axon_error(new_draft(), WHO, given, BLOCK) == error
    assert prometheus_error(new_draft(), WHO, given, BLOCK) == error


def test_only_an_axon_may_have_the_address_0() -> None:
    given = {**PLACE, "ip": 0}
    assert axon_error(new_draft(), WHO, given, BLOCK) is None
    assert prometheus_error(new_draft(), WHO, given, BLOCK) == "InvalidIpAddress"


@pytest.mark.parametrize(
    ("served_block", "error"), [(951, "ServingRateLimitExceeded"), (950, None), (0, None)]
)
def test_endpoints_keep_the_distance_of_the_rate_limit(
    served_block: int, error: str | None
) -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "ServingRateLimit", 1, 50)
    served = {"block": served_block, "version": 1, "ip": 1, "port": 1, "ip_type": 4}
    axon = {**served, "protocol": 0, "placeholder1": 0, "placeholder2": 0}
    draft.put(SUBTENSOR, "Axons", 1, WHO, axon)
    draft.put(SUBTENSOR, "Prometheus", 1, WHO, served)
    assert axon_error(draft, WHO, PLACE, BLOCK) == error
    assert prometheus_error(draft, WHO, PLACE, BLOCK) == error


def serve(draft: Draft, certificate: bytes | None = None) -> None:
    function = "serve_axon" if certificate is None else "serve_axon_tls"
    more = {} if certificate is None else {"certificate": certificate}
    events = execute_call(draft, WHO, decoded_call(SUBTENSOR, function, **AXON, **more))
    assert events == [(SUBTENSOR, "AxonServed", (1, WHO))]


def test_an_axon_is_stored_with_its_block() -> None:
    draft = new_draft(7)
    serve(draft)
    of_axon = {name: part for name, part in AXON.items() if name != "netuid"}
    assert draft.get(SUBTENSOR, "Axons", 1, WHO) == {"block": 7, **of_axon}
    assert draft.get(SUBTENSOR, "NeuronCertificates", 1, WHO) is None


@pytest.mark.parametrize("size", [1, 63, 64])
def test_a_certificate_is_an_algorithm_and_a_key(size: int) -> None:
    draft = new_draft()
    serve(draft, b"\x01" + b"k" * size)
    stored = draft.get_raw(SUBTENSOR, "NeuronCertificates", 1, WHO)
    assert stored == encode_bytes(b"k" * size) + b"\x01"


@pytest.mark.parametrize("certificate", [b"", b"\x01", b"\x01" + b"k" * 65])
def test_an_invalid_certificate_is_ignored(certificate: bytes) -> None:
    draft = new_draft()
    serve(draft, b"\x01key")
    before = draft.get_raw(SUBTENSOR, "NeuronCertificates", 1, WHO)
    serve(draft, certificate)
    assert draft.get_raw(SUBTENSOR, "NeuronCertificates", 1, WHO) == before is not None


def test_a_prometheus_endpoint_is_stored_with_its_block() -> None:
    draft = new_draft(7)
    events = execute_call(draft, WHO, decoded_call(SUBTENSOR, "serve_prometheus", **PLACE))
    assert events == [(SUBTENSOR, "PrometheusServed", (1, WHO))]
    of_place = {name: part for name, part in PLACE.items() if name != "netuid"}
    assert draft.get(SUBTENSOR, "Prometheus", 1, WHO) == {"block": 7, **of_place}
