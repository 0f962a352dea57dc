"""Controls of the chain, its pool and its faults."""

from collections.abc import Generator
from typing import Any

import pytest

from pylon_devnet.codec import sr25519_address
from pylon_devnet.controls import RATE_LIMITED_STATUS, Controls
from pylon_devnet.devnet_options import DevnetOptions
from pylon_devnet.injected_faults import InjectedError
from pylon_devnet.population import coldkey, dev_coldkey_seed, hotkey
from pylon_devnet.rpc_error import RpcError
from pylon_devnet.subnet_state import SUBTENSOR, hotkeys, uid_of, value
from tests.support.chain.signing import signed
from tests.support.chain.timelock import ROUND_1000, store_timelocked

SEED = dev_coldkey_seed("sn1")
PAYER, NEW = sr25519_address(SEED), sr25519_address(b"n" * 32)


@pytest.fixture
def node() -> Generator[Controls]:
    node = Controls(DevnetOptions(active=False, neurons=16))
    yield node
    node.chain.close()


def remark(node: Controls, nonce: int = 0) -> bytes:
    return signed(node.chain, SEED, ("System", "remark", {"remark": b"!"}), nonce)


def newest(node: Controls, item: str, *params: Any) -> Any:
    return value(node.chain.state_at_hash(None), item, *params)


def test_each_block_finalizes_the_one_before(node: Controls) -> None:
    for number in (1, 2, 3):
        assert node._make_block().number == number
        assert (node.best_number, node.finalized_number) == (number, number - 1)


def test_finality_stalls_and_catches_up(node: Controls) -> None:
    node._make_block()
    node.stall_finality()
    for _ in range(3):
        node._make_block()
    assert node.finalized_number == 0
    node.resume_finality()
    assert node.finalized_number == 3
    node._make_block()
    assert node.finalized_number == 4


def test_a_reorg_replaces_blocks_and_returns_their_extrinsics(node: Controls) -> None:
    node.stall_finality()
    node._make_block()
    node.pool.submit(remark(node))
    lost = node._make_block()
    assert node.reorg(1) == 3
    assert node.chain.hash(2) != lost.hash
    (applied,) = node.applied_extrinsics()
    assert (applied.block_number, applied.nonce) == (2, 0)
    assert node.applied_counts() == {PAYER: {"System.remark": 1}}
    with pytest.raises(ValueError, match="cannot retract 4 blocks"):
        node.reorg(4)


def test_a_hyperparameter_is_set_with_the_next_block(node: Controls) -> None:
    before = newest(node, "Kappa", 1)
    node.set_hyperparameter(1, "Kappa", before + 1)
    assert newest(node, "Kappa", 1) == before
    node._make_block()
    assert newest(node, "Kappa", 1) == before + 1
    node.set_hyperparameter(1, "Tempo", 5)
    node._make_block()
    assert newest(node, "LastEpochBlock", 1) == 2
    with pytest.raises(ValueError, match="TotalStake is not one of"):
        node.set_hyperparameter(1, "TotalStake", 5)


@pytest.mark.parametrize(
    ("pallet", "item", "params", "setting"),
    [
        ("Nothing", "Tempo", [1], 5),
        (SUBTENSOR, "Nothing", [1], 5),
        (SUBTENSOR, "Tempo", [], 5),
        (SUBTENSOR, "Tempo", [1, 2], 5),
        (SUBTENSOR, "Tempo", ["one"], 5),
        (SUBTENSOR, "Tempo", [1], None),
        (SUBTENSOR, "Tempo", [1], -1),
        (SUBTENSOR, "Tempo", [1], 1 << 16),
        (SUBTENSOR, "Tempo", [1], 1.5),
        (SUBTENSOR, "Tempo", [1], "5"),
        (SUBTENSOR, "Uids", [1], 5),
        (SUBTENSOR, "Uids", [1, "not an address"], 5),
        ("Timestamp", "Now", [1], 5),
    ],
)
def test_storage_that_cannot_be_read_is_not_written(
    node: Controls, pallet: str, item: str, params: list[Any], setting: Any
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        node.set_storage(pallet, item, params, setting)
    node._make_block()
    assert newest(node, "Tempo", 1) == 360


def test_storage_is_written_with_the_next_block(node: Controls) -> None:
    node.set_storage(SUBTENSOR, "Uids", [1, NEW], 7)
    node.set_storage(SUBTENSOR, "SubnetIdentitiesV3", [1], newest(node, "SubnetIdentitiesV3", 2))
    node._make_block()
    assert newest(node, "Uids", 1, NEW) == 7
    assert newest(node, "SubnetIdentitiesV3", 1)["subnet_name"] == "sturdy"


def test_a_neuron_is_registered_once(node: Controls) -> None:
    for _ in range(2):
        node.register_neuron(1, NEW, PAYER)
    node._make_block()
    keys = hotkeys(node.chain.state_at_hash(None), 1)
    assert keys == [*(hotkey(1, uid) for uid in range(16)), NEW]
    with pytest.raises(ValueError, match="is registered on subnet 1"):
        node.register_neuron(1, NEW, PAYER)


def test_only_addresses_are_registered_on_subnets_that_exist(node: Controls) -> None:
    with pytest.raises(ValueError, match="subnet 9 does not exist"):
        node.register_neuron(9, NEW, PAYER)
    for keys in (("not an address", PAYER), (NEW, "not an address")):
        with pytest.raises(ValueError, match=r"\w"):
            node.register_neuron(1, *keys)


def test_a_neuron_is_deregistered_once(node: Controls) -> None:
    for _ in range(2):
        node.deregister_neuron(1, hotkey(1, 5))
    node._make_block()
    state = node.chain.state_at_hash(None)
    assert uid_of(state, 1, hotkey(1, 5)) is None
    assert len(hotkeys(state, 1)) == 16
    with pytest.raises(ValueError, match="is not registered on subnet 1"):
        node.deregister_neuron(1, hotkey(1, 5))


def test_an_epoch_is_triggered(node: Controls) -> None:
    node.trigger_epoch(1, blocks=2)
    node._make_block()
    assert newest(node, "LastEpochBlock", 1) == 0
    node._make_block()
    assert newest(node, "LastEpochBlock", 1) == 2
    with pytest.raises(ValueError, match="negative"):
        node.trigger_epoch(1, blocks=-10)


def test_a_signature_of_the_beacon_is_stored(node: Controls) -> None:
    node.drand_signature(1000, ROUND_1000)
    for drand_round, signature in ((-1, ROUND_1000), (1 << 64, ROUND_1000), (1, "0xzz")):
        with pytest.raises(ValueError, match=r"round|hexadecimal"):
            node.drand_signature(drand_round, signature)
    node._make_block()
    assert node.chain.state_at_hash(None).get_raw("Drand", "Pulses", 1000) is not None


def test_a_commitment_is_revealed_as_a_text(node: Controls) -> None:
    with pytest.raises(ValueError, match="no timelocked commitment"):
        node.reveal_commitment(1, hotkey(1, 0), "hello")
    store_timelocked(node, 1, hotkey(1, 0), "hello")  # type: ignore[arg-type]
    node._make_block()
    node.reveal_commitment(1, hotkey(1, 0), "hello")
    node._make_block()
    names = [event["event_id"] for event in node.events()]
    assert "CommitmentRevealed" in names
    assert "CommitmentRevealed" not in [event["event_id"] for event in node.events(1)]


def test_the_next_extrinsics_are_refused_swallowed_or_muted(node: Controls) -> None:
    statuses: list[Any] = []
    raw = "0x" + remark(node).hex()
    node.refuse_extrinsics(message="No", data="Custom error: 1")
    with pytest.raises(RpcError) as refused:
        node._submit(raw, statuses.append)
    assert refused.value.as_json() == {"code": 1010, "message": "No", "data": "Custom error: 1"}
    node.swallow_extrinsics()
    swallowed = node._submit(raw, statuses.append)
    node._make_block()
    assert node.applied_extrinsics() == []
    node.mute_watches()
    assert node._submit(raw, statuses.append) == swallowed
    assert (statuses, node.most_in_flight()) == ([], 1)
    node._make_block()
    assert (len(node.applied_extrinsics()), statuses) == (1, [])
    node._submit("0x" + remark(node, 1).hex(), statuses.append)
    assert statuses == ["ready"]
    assert node.drop_extrinsics() == 1
    assert statuses == ["ready", "dropped"]


def test_faults_of_requests_are_injected_and_removed(node: Controls) -> None:
    node.delay_method("chain_getHeader", 2.0)
    assert node.faults.delays_s == {"chain_getHeader": 2.0}
    node.delay_method("chain_getHeader", 0)
    assert node.faults.delays_s == {}
    node.fail_method("chain_getHeader", 2, message="broken")
    assert node.faults.errors == {"chain_getHeader": InjectedError(-32000, "broken", 2)}
    node.go_silent()
    assert node.faults.silent
    node.speak()
    assert not node.faults.silent
    node.refuse_handshakes()
    assert node.faults.next_handshake_rejection() == RATE_LIMITED_STATUS
    assert node.faults.next_handshake_rejection() is None


@pytest.mark.parametrize(
    ("number", "shown"), [(258, "0x102"), ("0x", "0x"), (None, None), (True, True), ([1], [1])]
)
def test_headers_are_falsified(node: Controls, number: Any, shown: Any) -> None:
    node.falsify_headers(number)
    assert node.faults.falsify("chain_getHeader", {"number": "0x1"}) == {"number": shown}
    assert node.faults.falsify("chain_getHeader", {"number": "0x1"}) == {"number": "0x1"}


def test_old_states_are_pruned(node: Controls) -> None:
    for _ in range(5):
        node._make_block()
    node.prune(2)
    assert node.chain.history.oldest == 4
    assert newest(node, "SubnetworkN", 1) == 16


def test_a_coldkey_of_a_registered_neuron_owns_it(node: Controls) -> None:
    node.register_neuron(2, NEW, coldkey(1, 0))
    node._make_block()
    assert newest(node, "Owner", NEW) == coldkey(1, 0)
