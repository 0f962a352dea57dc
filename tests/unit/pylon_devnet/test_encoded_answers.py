"""Answers from reused parts equal the codec's encoding of the whole value."""

from random import Random
from typing import Any

import pytest

from pylon_devnet.apis import execute_api
from pylon_devnet.chain_state import StateReader
from pylon_devnet.codec import sr25519_address
from pylon_devnet.controls import Controls
from pylon_devnet.devnet_options import DevnetOptions
from pylon_devnet.encoded_answers import EncodedAnswers
from pylon_devnet.population import SUBNETS, coldkey, hotkey
from pylon_devnet.runtime.runtime_names import NEWEST, RUNTIMES
from pylon_devnet.seeded_random import seeded_random
from pylon_devnet.subnet_state import SUBTENSOR, hotkeys
from tests.support.chain.devnet_draft import new_draft

NETUIDS = (0, *(plan.netuid for plan in SUBNETS))
NO_SUBNET = 9
NEURONS = ("NeuronInfoRuntimeApi", "get_neurons_lite")
STATE = ("SubnetInfoRuntimeApi", "get_subnet_state")
SEEDS = range(4)


class Comparison:
    """A devnet whose answers are compared with those computed and encoded as a whole."""

    def __init__(self, runtime: str = NEWEST) -> None:
        options = DevnetOptions(
            neurons=16, runtime=runtime, keep_blocks=20, tempo_blocks=7, genesis_time_ms=0
        )
        self.node = Controls(options)
        chain = self.node.chain
        self.answers = EncodedAnswers(chain.codec, chain.declaration)

    def whole(self, state: StateReader, api: tuple[str, str], netuid: int) -> bytes:
        codec = self.node.chain.codec
        return codec.api_output(*api, execute_api(state, *api, [netuid]))

    def compare(self, number: int) -> None:
        chain = self.node.chain
        state = chain.state_at_number(number)
        # A draft computes everything; without changes, it reads the state before it.
        plain = chain._storage.draft(number)
        for netuid in (*NETUIDS, NO_SUBNET):
            assert self.answers.neurons_lite(state, netuid) == self.whole(plain, NEURONS, netuid)
            assert self.answers.subnet_state(state, netuid) == self.whole(plain, STATE, netuid)


def change_randomly(node: Controls, chance: Random) -> None:
    netuid = chance.choice(NETUIDS[1:])
    state = node.chain.state_at_hash(None)
    keys = hotkeys(state, netuid)
    key = chance.choice(keys)
    new = sr25519_address(chance.randbytes(32))

    def put(*item: Any) -> None:
        node.chain.schedule_change(lambda draft: draft.put(SUBTENSOR, *item))

    def delete(*item: Any) -> None:
        node.chain.schedule_change(lambda draft: draft.delete(SUBTENSOR, *item))

    axon = state.get(SUBTENSOR, "Axons", netuid, key) or dict.fromkeys(
        ("block", "version", "ip", "port", "ip_type", "protocol", "placeholder1", "placeholder2"), 0
    )
    prometheus = {"block": 3, "version": 1, "ip": 5, "port": chance.randrange(9), "ip_type": 4}
    changes = [
        lambda: node.register_neuron(netuid, new, coldkey(netuid, 3)),
        lambda: node.deregister_neuron(netuid, key),
        lambda: put("SubnetworkN", netuid, chance.randrange(1, len(keys) + 1)),
        lambda: put("Axons", netuid, key, {**axon, "port": chance.randrange(1 << 16)}),
        lambda: delete("Axons", netuid, key),
        lambda: put("Prometheus", netuid, key, prometheus),
        lambda: delete("Prometheus", netuid, key),
        lambda: put("Owner", key, new),
        lambda: put("TaoWeight", chance.randrange(1 << 64)),
        lambda: put("TotalHotkeyAlpha", key, 0, chance.randrange(1 << 50)),
        lambda: delete("TotalHotkeyAlpha", key, netuid),
        lambda: put("BlockAtRegistration", netuid, chance.randrange(len(keys)), 77),
        lambda: put("LastUpdate", netuid, [chance.randrange(99) for _ in range(5)]),
        lambda: put("ValidatorPermit", netuid, []),
        lambda: put("NetworksAdded", netuid, chance.random() < 0.7),
    ]
    chance.choice(changes)()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_answers_equal_the_encoding_of_the_whole_value(runtime: str, seed: int) -> None:
    chance = seeded_random(seed)
    tested = Comparison(runtime)
    node, history = tested.node, tested.node.chain.history
    for _ in range(30):
        for _ in range(chance.randrange(4)):
            change_randomly(node, chance)
        node._make_block()
        if chance.random() < 0.3:
            node.reorg(chance.randint(1, node.best_number - history.oldest))
        if chance.random() < 0.1:
            node.prune(chance.randint(1, 10))
        tested.compare(node.best_number)
        if chance.random() < 0.3:
            tested.compare(chance.randint(history.oldest, node.best_number))
    node.chain.close()


def test_unwritten_changes_of_a_block_are_answered_without_remembering_them() -> None:
    tested = Comparison()
    tested.compare(0)
    draft = tested.node.chain._storage.draft(1)
    draft.put(SUBTENSOR, "TotalHotkeyAlpha", hotkey(1, 3), 1, 12345)
    answers = tested.answers
    for answer, api in ((answers.neurons_lite, NEURONS), (answers.subnet_state, STATE)):
        encoded = answer(draft, 1)
        assert encoded == tested.whole(draft, api, 1)
        assert encoded != answer(tested.node.chain.state_at_number(0), 1)
    tested.compare(0)
    tested.node.chain.close()


def test_a_change_encodes_only_the_neurons_that_it_concerns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tested = Comparison()
    node = tested.node
    tested.compare(0)
    encoded: list[str] = []
    encode = node.chain.codec.encode
    monkeypatch.setattr(
        node.chain.codec,
        "encode",
        lambda type_, value: encoded.append(type_) or encode(type_, value),
    )
    node.chain.schedule_change(
        lambda draft: draft.put(SUBTENSOR, "TotalHotkeyAlpha", hotkey(2, 1), 2, 12345)
    )
    node.chain.make_block()
    encoded.clear()
    state = node.chain.state_at_hash(None)
    tested.answers.neurons_lite(state, 2)
    tested.answers.subnet_state(state, 2)
    changed = encoded.count("NeuronInfoLite")
    assert 1 <= changed <= 4, "the activity of a block moves three stakes"
    assert len(encoded) - changed <= 3, "alpha stake, total stake and last update"
    node.chain.close()


def test_a_subnet_without_neurons_has_empty_columns() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "SubnetworkN", 2, 0)
    tested = Comparison()
    assert tested.answers.neurons_lite(draft, 2) == b"\x00"
    assert tested.answers.subnet_state(draft, 2) == tested.whole(draft, STATE, 2)
    tested.node.chain.close()
