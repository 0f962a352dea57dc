"""Conversion of decoded records to neurons."""

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from pylon.chain.neuron_decoding import decode_subnet_neurons
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockHash, BlockNumber, Hotkey

BLOCK = Block(number=BlockNumber(7), hash=BlockHash("0x" + "ab" * 32))


def record(uid: int, **changes: Any) -> dict[str, Any]:
    return {
        "hotkey": f"hotkey-{uid}",
        "coldkey": f"coldkey-{uid}",
        "uid": uid,
        "netuid": 1,
        "active": True,
        "axon_info": {
            "block": 5,
            "version": 1,
            "ip": int(IPv4Address("203.0.113.9")),
            "port": 8091,
            "ip_type": 4,
            "protocol": 4,
            "placeholder1": 0,
            "placeholder2": 0,
        },
        "stake": [("coldkey-a", 1_500_000_000), ("coldkey-b", 500_000_000)],
        "rank": 65_535,
        "emission": 2_250_000_000,
        "incentive": 13_107,
        "consensus": 0,
        "trust": 65_535,
        "validator_trust": 26_214,
        "dividends": 1,
        "last_update": 123,
        "validator_permit": False,
        "pruning_score": 4_321,
        **changes,
    }


def state(*uids: int) -> dict[str, Any]:
    return {
        "hotkeys": [f"hotkey-{uid}" for uid in uids],
        "alpha_stake": [(uid + 1) * 10**9 for uid in uids],
        "tao_stake": [(uid + 1) * 10**8 for uid in uids],
        "total_stake": [(uid + 1) * 11 * 10**8 for uid in uids],
    }


def test_a_record_becomes_a_neuron_in_tokens_and_shares() -> None:
    result = decode_subnet_neurons(BLOCK, [record(3)], state(3))
    (neuron,) = result.neurons.values()
    assert result.block == BLOCK
    assert (neuron.uid, neuron.hotkey, neuron.coldkey) == (3, "hotkey-3", "coldkey-3")
    assert (neuron.stake, neuron.emission) == (2.0, 2.25)
    assert (neuron.rank, neuron.incentive, neuron.consensus) == (1.0, 0.2, 0.0)
    assert (neuron.trust, neuron.validator_trust) == (1.0, 0.4)
    assert neuron.dividends == 1 / 65_535
    assert (neuron.last_update, neuron.pruning_score) == (123, 4_321)
    assert (neuron.active, neuron.validator_permit) == (True, False)
    assert (neuron.stakes.alpha, neuron.stakes.tao, neuron.stakes.total) == (4.0, 0.4, 4.4)
    assert (neuron.axon_info.ip, neuron.axon_info.port) == (IPv4Address("203.0.113.9"), 8091)
    assert neuron.axon_info.protocol.name == "HTTP"


def axon(ip: int, ip_type: int) -> dict[str, int]:
    return {"ip": ip, "port": 1, "ip_type": ip_type, "protocol": 0}


@pytest.mark.parametrize(
    ("axon_info", "expected"),
    [
        (axon(0, 0), IPv4Address("0.0.0.0")),
        (axon(0, 4), IPv4Address("0.0.0.0")),
        (axon(int(IPv6Address("2001:db8::1")), 6), IPv6Address("2001:db8::1")),
        (axon(1, 6), IPv6Address("::1")),
    ],
)
def test_an_address_is_read_by_its_type(
    axon_info: dict[str, int], expected: IPv4Address | IPv6Address
) -> None:
    neuron = decode_subnet_neurons(BLOCK, [record(0, axon_info=axon_info)], state(0)).neurons[
        Hotkey("hotkey-0")
    ]
    assert neuron.axon_info.ip == expected
    assert neuron.axon_info.is_serving is (int(expected) != 0)


def test_neurons_come_in_the_order_of_their_uids() -> None:
    uids = [5, 0, 3]
    result = decode_subnet_neurons(BLOCK, [record(uid) for uid in uids], state(*uids))
    assert [neuron.uid for neuron in result.neurons.values()] == [0, 3, 5]


@pytest.mark.parametrize(
    ("spoilt", "item"),
    [
        (record(1, axon_info=axon(2**100, 4)), "hotkey-1"),
        (record(1, rank=None), "hotkey-1"),
        (record(1, stake=[("coldkey", "many")]), "hotkey-1"),
        (record(1, hotkey="stranger"), "stranger"),
        ({"uid": 1}, "uid 1"),
        ({}, "uid None"),
    ],
    ids=["address too large", "no score", "bad amount", "unknown hotkey", "no fields", "empty"],
)
def test_a_record_that_cannot_be_decoded_does_not_affect_others(
    spoilt: dict[str, Any], item: str, caplog: pytest.LogCaptureFixture
) -> None:
    result = decode_subnet_neurons(BLOCK, [record(0), spoilt, record(2)], state(0, 1, 2))
    assert [neuron.uid for neuron in result.neurons.values()] == [0, 2]
    assert [skipped.item for skipped in result.skipped] == [item]
    assert "Skipped the neuron" in caplog.text
