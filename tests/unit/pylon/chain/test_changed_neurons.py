"""The neurons of a subnet at successive blocks, in the encoding of the devnet's runtime."""

import random
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.chain.answer_types import AnswerTypes
from pylon.chain.changed_neurons import ChangedNeurons
from pylon.chain.runtime_answers import RuntimeAnswer
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockHash, BlockNumber, NetUid
from tests.support.chain.reference_neurons import reference_neurons
from tests.support.chain.runtime_codec import RUNTIME_CODEC
from tests.support.product.fake_signers import address

BLOCK = Block(number=BlockNumber(7), hash=BlockHash("0x" + "ab" * 32))
TYPES = AnswerTypes(RUNTIME_CODEC)
LITE = ("NeuronInfoRuntimeApi", "get_neurons_lite")
STATE = ("SubnetInfoRuntimeApi", "get_subnet_state")
COLUMNS = (
    ("active", "validator_permit"),
    ("pruning_score", "last_update", "emission", "dividends", "incentives", "consensus", "trust"),
    ("rank", "block_at_registration", "alpha_stake", "tao_stake", "total_stake"),
)


class Subnet:
    """A subnet that changes."""

    def __init__(self, neurons: int) -> None:
        self.accounts = iter(range(1, 10_000))
        self.neurons = [self._neuron(uid) for uid in range(neurons)]

    def answers(self) -> tuple[RuntimeAnswer, RuntimeAnswer]:
        """Return both answers of the runtime."""
        count = len(self.neurons)
        state = {
            "netuid": 1,
            "hotkeys": [one["hotkey"] for one in self.neurons],
            "coldkeys": [one["coldkey"] for one in self.neurons],
            **{name: [False] * count for name in COLUMNS[0]},
            **{name: [0] * count for name in (*COLUMNS[1], *COLUMNS[2])},
            "alpha_stake": [one["stake"][0][1] for one in self.neurons],
            "tao_stake": [one["emission"] for one in self.neurons],
            "total_stake": [one["stake"][0][1] + one["emission"] for one in self.neurons],
            "emission_history": [],
        }
        return answer(*LITE, self.neurons), answer(*STATE, state)

    def change(self, number: int) -> None:
        """Change one neuron, in a way that depends on a number."""
        uid = number % len(self.neurons)
        one = self.neurons[uid]
        match number % 7:
            case 0 | 1:
                one["stake"] = [(one["coldkey"], number**3)]
            case 2:
                one["last_update"] = number**2
            case 3:
                self.neurons[uid] = self._neuron(uid)
            case 4:
                self.neurons.append(self._neuron(len(self.neurons)))
            case 5:
                one["stake"] += [(one["coldkey"], number)]
            case _:
                one["emission"] = number

    def _neuron(self, uid: int) -> dict[str, Any]:
        coldkey = address(next(self.accounts))
        axon = dict.fromkeys(("version", "ip", "port", "ip_type", "protocol"), 0)
        return {
            "hotkey": address(next(self.accounts)),
            "coldkey": coldkey,
            "uid": uid,
            "netuid": 1,
            "active": True,
            "axon_info": {"block": 0, **axon, "placeholder1": 0, "placeholder2": 0},
            "prometheus_info": dict.fromkeys(("block", "version", "ip", "port", "ip_type"), 0),
            "stake": [(coldkey, uid * 10**9)],
            "emission": uid,
            "last_update": uid,
            "validator_permit": False,
            "pruning_score": 0,
            **dict.fromkeys(
                ("rank", "incentive", "consensus", "trust", "validator_trust", "dividends"), 0
            ),
        }


def answer(api: str, method: str, value: Any) -> RuntimeAnswer:
    output = RUNTIME_CODEC.runtime_api_map[api][method]["output"]
    data = RUNTIME_CODEC.encode(output, deepcopy(value))
    decode = partial(RUNTIME_CODEC.decode, output, data)
    return RuntimeAnswer(data, RUNTIME_CODEC, decode, TYPES.of(api, method))


def expected(lite: RuntimeAnswer, state: RuntimeAnswer) -> bytes:
    """Return the fields by way of the models."""
    body = json_codec.encode(reference_neurons(BLOCK, lite.decode(), state.decode()))
    return body.removeprefix(b'{"block":%b,' % json_codec.encode(BLOCK))


def test_only_changed_neurons_are_encoded() -> None:
    subnet, neurons = Subnet(40), ChangedNeurons(NetUid(1))
    counts: list[int] = []
    for changes in ([], [], [7, 8], [2], [62], [5]):
        for number in changes:
            subnet.change(number)
        answers = subnet.answers()
        assert neurons.encode(BLOCK, *answers) == expected(*answers)
        counts.append(neurons.encoded_count)
    assert counts == [40, 40, 42, 43, 44, 45]


def test_a_changed_stake_alone_is_seen() -> None:
    subnet, neurons = Subnet(3), ChangedNeurons(NetUid(1))
    lite, state = subnet.answers()
    neurons.encode(BLOCK, lite, state)
    subnet.neurons[1]["emission"] = 99
    _, newer = subnet.answers()
    assert neurons.encode(BLOCK, lite, newer) == expected(lite, newer)
    assert neurons.encoded_count == 4


def test_the_accounts_of_a_subnet_are_decoded_once() -> None:
    subnet, neurons = Subnet(20), ChangedNeurons(NetUid(1))
    decoded: list[bytes] = []
    for number in (0, 1, 3, 7):
        subnet.change(number)
        lite, state = subnet.answers()

        def decode(state: RuntimeAnswer = state) -> Any:
            decoded.append(state.data)
            return RUNTIME_CODEC.decode(
                RUNTIME_CODEC.runtime_api_map[STATE[0]][STATE[1]]["output"], state.data
            )

        counted = RuntimeAnswer(state.data, state.codec, decode, state.parts)
        assert neurons.encode(BLOCK, lite, counted) == expected(lite, state)
    assert len(decoded) == 2, "at the first block, and when a neuron was replaced"


def test_another_runtime_gives_equal_bytes_another_meaning() -> None:
    subnet, neurons = Subnet(5), ChangedNeurons(NetUid(1))
    lite, state = subnet.answers()
    for codec in (RUNTIME_CODEC, object(), object()):
        of_runtime = [
            RuntimeAnswer(one.data, codec, one.decode, one.parts) for one in (lite, state)
        ]
        neurons.encode(BLOCK, *of_runtime)
    assert neurons.encoded_count == 15


def test_neurons_are_encoded_again_while_one_is_skipped() -> None:
    subnet, neurons = Subnet(5), ChangedNeurons(NetUid(1))
    lite, _ = subnet.answers()
    subnet.neurons.pop()
    _, state = subnet.answers()  # without the stakes of a neuron
    for _ in range(2):
        assert neurons.encode(BLOCK, lite, state) == expected(lite, state)
    assert neurons.encoded_count == 8


@pytest.mark.parametrize("value", [None, {}])
def test_a_subnet_that_does_not_exist_is_not_found(value: Any) -> None:
    lite, state = Subnet(1).answers()
    absent = RuntimeAnswer(b"\0", state.codec, lambda: value, state.parts)
    with pytest.raises(FailureError) as raised:
        ChangedNeurons(NetUid(1)).encode(BLOCK, lite, absent)
    assert raised.value.code is ErrorCode.NOT_FOUND


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.lists(st.lists(st.integers(0, 10_000), max_size=4), max_size=6))
def test_the_json_is_that_of_the_models(count: int, blocks: list[list[int]]) -> None:
    subnet, neurons = Subnet(count), ChangedNeurons(NetUid(1))
    for numbers in [[], *blocks]:
        for number in numbers:
            subnet.change(number)
        answers = subnet.answers()
        assert neurons.encode(BLOCK, *answers) == expected(*answers)


def test_answers_in_any_order_of_blocks_are_right() -> None:
    """Reads of past blocks use the same memory."""
    subnet, neurons = Subnet(30), ChangedNeurons(NetUid(1))
    order = random.Random(3)  # noqa: S311 -- not for keys
    blocks: list[tuple[RuntimeAnswer, RuntimeAnswer]] = []
    for number in range(20):
        subnet.change(number * 7 + order.randrange(7))
        blocks.append(subnet.answers())
    for _ in range(60):
        answers = order.choice(blocks)
        assert neurons.encode(BLOCK, *answers) == expected(*answers)
