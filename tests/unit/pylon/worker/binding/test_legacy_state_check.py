"""Adoption of state of an earlier version, if it is of the node's chain."""

import pytest

from pylon.chain.chain_identity import ChainIdentity
from pylon.worker.binding.legacy_state_check import find_mismatch
from tests.support.chain.bound_state import NEW, OLD, ChainNode, StoredBlocks
from tests.support.product.adversary import World
from tests.support.product.simulated_jobs import SimulatedJobs


@pytest.mark.parametrize(
    ("published", "node", "fits"),
    [
        ((), ChainNode(OLD, 3), True),
        ((470, 500), ChainNode(OLD, 600), True),
        ((470, 500), ChainNode(OLD, 480), True),
        ((470, 500), ChainNode(OLD, 100), False),
        ((470, 500), ChainNode(NEW, 600), False),
        ((470, 500), ChainNode(NEW, 100), False),
    ],
)
async def test_earlier_state_is_adopted_if_its_blocks_match_the_chain(
    published: tuple[int, ...], node: ChainNode, *, fits: bool
) -> None:
    found = await find_mismatch(node.its_genesis, node, World().process(), StoredBlocks(*published))
    assert (found is None) == fits
    if found is not None:
        assert "block 500 of it was published" in found.reason


async def test_a_reorg_of_the_newest_block_is_not_another_chain() -> None:
    node = ChainNode(OLD, 600)
    node.forked = {500}
    assert await find_mismatch(OLD, node, World().process(), StoredBlocks(470, 500)) is None


async def test_state_whose_jobs_are_for_another_chain_is_not_adopted() -> None:
    world = World(genesis=OLD)
    await SimulatedJobs(world).accept()
    assert await find_mismatch(OLD, ChainNode(OLD, 9), world.process(), StoredBlocks()) is None
    found = await find_mismatch(NEW, ChainNode(NEW, 9), world.process(), StoredBlocks())
    assert found is not None
    assert found.chain == ChainIdentity("unknown", OLD)
    assert "1 of its jobs" in found.reason
