"""Simulated activity of other accounts in a block."""

from pylon_devnet.activity import draw_weights, simulate_activity
from pylon_devnet.population import hotkey
from pylon_devnet.seeded_random import seeded_random
from pylon_devnet.subnet_state import ROOT_NETUID, alpha_stake, value
from tests.support.chain.devnet_draft import SUBTENSOR, new_draft


def test_the_seed_and_the_block_decide_the_activity() -> None:
    blocks = [new_draft(number) for number in (1, 1, 2)]
    for draft in blocks:
        simulate_activity(draft, seed=7)
    other_seed = new_draft()
    simulate_activity(other_seed, seed=8)
    assert blocks[0].changes == blocks[1].changes
    assert blocks[0].changes != blocks[2].changes
    assert blocks[0].changes != other_seed.changes


def test_the_validators_at_uid_0_and_the_root_network_are_left_alone() -> None:
    draft = new_draft()
    key, before = hotkey(1, 0), alpha_stake(draft, 1, hotkey(1, 0))
    row = draft.get(SUBTENSOR, "Weights", 1, 0)
    root = [(name, value(draft, name, ROOT_NETUID)) for name in ("SubnetTAO", "LastUpdate")]
    for seed in range(50):
        simulate_activity(draft, seed)
    assert alpha_stake(draft, 1, key) == before
    assert draft.get(SUBTENSOR, "Weights", 1, 0) == row
    assert [(name, value(draft, name, ROOT_NETUID)) for name, _ in root] == root


def test_validators_that_set_weights_are_updated_in_this_block() -> None:
    draft = new_draft(9)
    rows = {uid: draft.get(SUBTENSOR, "Weights", 1, uid) for uid in range(16)}
    for seed in range(50):
        simulate_activity(draft, seed)
    changed = {uid for uid, row in rows.items() if draft.get(SUBTENSOR, "Weights", 1, uid) != row}
    updated = {uid for uid, block in enumerate(value(draft, "LastUpdate", 1)) if block == 9}
    assert changed == updated != set()
    for uid in changed:
        row = draft.get(SUBTENSOR, "Weights", 1, uid)
        assert [miner for miner, _ in row] == [miner for miner, _ in rows[uid]]
        assert all(1 <= weight <= 65535 for _, weight in row)


def test_a_trade_keeps_the_pool_and_counts_its_volume() -> None:
    draft = new_draft()
    tao, alpha = value(draft, "SubnetTAO", 1), value(draft, "SubnetAlphaIn", 1)
    volume = value(draft, "SubnetVolume", 1)
    simulate_activity(draft, seed=7)
    traded = value(draft, "SubnetVolume", 1) - volume
    assert 0 < traded <= tao * 0.0005
    after = value(draft, "SubnetTAO", 1) * value(draft, "SubnetAlphaIn", 1)
    assert abs(after / (tao * alpha) - 1) < 1e-4


def test_an_empty_pool_does_not_stop_the_chain() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "SubnetTAO", 1, 0)
    draft.put(SUBTENSOR, "SubnetAlphaIn", 2, 0)
    simulate_activity(draft, seed=7)
    assert value(draft, "SubnetTAO", 1) > 0
    assert value(draft, "SubnetAlphaIn", 2) > 0


def test_the_largest_drawn_weight_is_the_largest_number() -> None:
    for seed in range(10):
        row = draw_weights(seeded_random(seed), range(4, 16))
        assert max(weight for _, weight in row) == 65535
        assert all(weight > 0 for _, weight in row)
        assert {miner for miner, _ in row} <= set(range(4, 16))
    assert draw_weights(seeded_random(0), []) == []
