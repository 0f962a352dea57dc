"""Memory use of the state does not grow with the chain."""

import pytest

from pylon_devnet.chain_state import StateReader
from pylon_devnet.codec import sr25519_address
from pylon_devnet.controls import Controls
from pylon_devnet.devnet_options import DevnetOptions

TEMPO_BLOCKS = 25
# Whole epochs, so that the same number of epochs is stored at each measurement.
STAGE_BLOCKS = 3 * TEMPO_BLOCKS


def _versions_in_excess(node: Controls) -> int:
    history = node.chain.history
    return sum(1 for _ in history.versions()) - len(history)


def test_memory_use_does_not_grow_with_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    # The chain's own 2400 would take thousands of blocks to be reached.
    monkeypatch.setattr("pylon_devnet.simulated_chain._BLOCK_HASH_COUNT", 50)
    node = Controls(DevnetOptions(keep_blocks=40, tempo_blocks=TEMPO_BLOCKS, neurons=16))
    excess: list[int] = []
    remembered: list[int] = []
    for _ in range(5):
        for _ in range(STAGE_BLOCKS):
            node._make_block()
        excess.append(_versions_in_excess(node))
        remembered.append(len(node.chain._storage._keys) + len(node.chain._storage._decoded))
    node.chain.close()
    assert max(excess) < 1.1 * min(excess), excess
    assert max(remembered) < min(remembered) + STAGE_BLOCKS // 2, remembered


def test_deleted_items_leave_the_caches() -> None:
    node = Controls(DevnetOptions(active=False, keep_blocks=1))
    account = node.chain.state_at_hash(None).get("System", "Account", sr25519_address(b"n" * 32))
    remembered: list[int] = []
    for number in range(10):
        name = ("System", "Account", sr25519_address(bytes([number]) * 32))
        node.chain.schedule_change(lambda draft, name=name: draft.put(*name, account))
        node._make_block()
        assert node.chain.state_at_hash(None).get(*name) == account
        node.chain.schedule_change(lambda draft, name=name: draft.delete(*name))
        node._make_block()
        remembered.append(len(node.chain._storage._decoded))
    node.chain.close()
    assert remembered == remembered[:1] * 10


def test_a_reused_result_must_not_read_a_list_of_keys() -> None:
    node = Controls(DevnetOptions(active=False, neurons=16))
    state = node.chain.state_at_hash(None)

    def compute(state: StateReader, netuid: int, _uid: int, _row: None) -> int:
        return len(state.entries("SubtensorModule", "Keys", netuid))

    with pytest.raises(TypeError, match="cannot be reused"):
        state.for_each_uid(compute, 1, [None])
    assert node.chain._storage.draft(1).for_each_uid(compute, 1, [None]) == [16]
    node.chain.close()
