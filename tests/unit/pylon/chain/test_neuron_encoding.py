"""Conversion of decoded records to the JSON of neurons, held against the contract's models."""

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.chain.bounds import ImplausibleError
from pylon.chain.changed_neurons import ChangedNeurons
from pylon_client.contract import json_codec, neurons_body
from pylon_client.contract.models import Block, SubnetNeurons
from pylon_client.contract.types import BlockHash, BlockNumber, Hotkey, NetUid
from tests.support.chain.decoded_answers import decoded_answer
from tests.support.chain.reference_neurons import reference_neurons

BLOCK = Block(number=BlockNumber(7), hash=BlockHash("0x" + "ab" * 32))


def encode(neurons_lite: list[dict[str, Any]], subnet_state: dict[str, Any]) -> bytes:
    lite, state = decoded_answer(neurons_lite), decoded_answer(subnet_state)
    return neurons_body.at_block(BLOCK, ChangedNeurons(NetUid(1)).encode(BLOCK, lite, state))


def decode(neurons_lite: list[dict[str, Any]], subnet_state: dict[str, Any]) -> SubnetNeurons:
    return SubnetNeurons.model_validate_json(encode(neurons_lite, subnet_state))


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
    result = decode([record(3)], state(3))
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
    neuron = decode([record(0, axon_info=axon_info)], state(0)).neurons[Hotkey("hotkey-0")]
    assert neuron.axon_info.ip == expected
    assert neuron.axon_info.is_serving is (int(expected) != 0)


def test_neurons_come_in_the_order_of_their_uids() -> None:
    uids = [5, 0, 3]
    result = decode([record(uid) for uid in uids], state(*uids))
    assert [neuron.uid for neuron in result.neurons.values()] == [0, 3, 5]


@pytest.mark.parametrize(
    ("spoilt", "item"),
    [
        (record(1, axon_info=axon(2**100, 4)), "hotkey-1"),
        (record(1, axon_info=axon(2**128, 6)), "hotkey-1"),
        (record(1, rank=65_536), "hotkey-1"),
        (record(1, trust=True), "hotkey-1"),
        (record(1, active=1), "hotkey-1"),
        (record(1, last_update=2**64), "hotkey-1"),
        (record(1, emission=10**400), "hotkey-1"),
        (record(1, rank=None), "hotkey-1"),
        (record(1, stake=[("coldkey", "many")]), "hotkey-1"),
        (record(1, hotkey="stranger"), "stranger"),
        ({"uid": 1}, "uid 1"),
        ({}, "uid None"),
    ],
    ids=[
        "address too large",
        "IPv6 address too large",
        "share too large",
        "no number",
        "no truth value",
        "block too large",
        "amount too large",
        "no score",
        "bad amount",
        "unknown hotkey",
        "no fields",
        "empty",
    ],
)
def test_a_record_that_cannot_be_decoded_does_not_affect_others(
    spoilt: dict[str, Any], item: str, caplog: pytest.LogCaptureFixture
) -> None:
    result = decode([record(0), spoilt, record(2)], state(0, 1, 2))
    assert [neuron.uid for neuron in result.neurons.values()] == [0, 2]
    assert [skipped.item for skipped in result.skipped] == [item]
    assert "Skipped the neuron" in caplog.text


@pytest.mark.parametrize(
    "spoilt",
    [
        {"netuid": 1},
        state(0) | {"alpha_stake": []},
        state(0) | {"alpha_stake": ["many"]},
        state(0) | {"tao_stake": [-1]},
        state(0) | {"total_stake": [10**400]},
        state(0) | {"hotkeys": [7]},
    ],
    ids=["no columns", "short column", "no number", "negative", "too large", "no account"],
)
def test_invalid_stakes_are_a_fault_of_the_node(spoilt: dict[str, Any]) -> None:
    with pytest.raises(ImplausibleError, match="The stakes of a subnet cannot be"):
        encode([record(0)], spoilt)


HOTKEYS = [f"hotkey-{uid}" for uid in range(6)]
ODD = st.sampled_from([None, True, -1, 65_536, 2**64, 2**130, 1.5, "7", "", [], {}])
SHARES = ("rank", "incentive", "consensus", "trust", "validator_trust", "dividends")
AMOUNT = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 10**9, 10**18])
SHORT = st.integers(0, 65_535)
ADDRESS = (
    st.just(0)
    | st.ip_addresses().map(int)
    | st.sampled_from([2**32 - 1, 2**32, 2**128 - 1, 2**128, int(IPv6Address("::ffff:1.2.3.4"))])
)
AXON = st.fixed_dictionaries(
    {
        "ip": ADDRESS,
        "port": SHORT,
        "ip_type": st.sampled_from([0, 4, 6, 7]),
        "protocol": st.integers(0, 255),
    }
)
RECORD = st.fixed_dictionaries(
    {
        "hotkey": st.sampled_from([*HOTKEYS, "stranger", '"quoted\\ é\n']),
        "coldkey": st.text(max_size=3),
        "uid": SHORT | st.integers(0, 5),
        "netuid": st.just(1),
        "active": st.booleans(),
        "axon_info": AXON,
        "stake": st.lists(st.tuples(st.just("coldkey"), AMOUNT), max_size=3),
        "last_update": st.integers(0, 2**63 - 1),
        "validator_permit": st.booleans(),
        "pruning_score": SHORT,
        "emission": AMOUNT,
        **dict.fromkeys(
            ("rank", "incentive", "consensus", "trust", "validator_trust", "dividends"), SHORT
        ),
    }
)
FIELDS = list(record(0))
AXON_FIELDS = ["ip", "port", "ip_type", "protocol"]


@st.composite
def spoilt_records(draw: st.DrawFn) -> dict[str, Any]:
    """Return a record with one odd or missing field."""
    spoilt: dict[str, Any] = draw(RECORD)
    fields, part = (FIELDS, spoilt) if draw(st.booleans()) else (AXON_FIELDS, spoilt["axon_info"])
    name = draw(st.sampled_from(fields))
    if draw(st.booleans()):
        part[name] = draw(ODD)
    else:
        del part[name]
    return spoilt


@settings(max_examples=200)
@given(
    records=st.lists(RECORD | spoilt_records(), max_size=8),
    stakes=st.lists(
        st.tuples(st.sampled_from(HOTKEYS), AMOUNT, AMOUNT, AMOUNT), min_size=1, max_size=8
    ),
)
def test_the_json_is_that_of_the_models(
    records: list[dict[str, Any]], stakes: list[tuple[str, int, int, int]]
) -> None:
    columns: list[list[Any]] = [list(column) for column in zip(*stakes, strict=True)]
    names = ["hotkeys", "alpha_stake", "tao_stake", "total_stake"]
    subnet_state = dict(zip(names, columns, strict=True))
    expected = reference_neurons(BLOCK, records, subnet_state)
    assert encode(records, subnet_state) == json_codec.encode(expected)
