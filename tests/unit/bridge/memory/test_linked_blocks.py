"""The newest block and its ancestors."""

from bridge.memory.linked_blocks import MAX_LINKED_BLOCKS, LinkedBlocks
from tests.support.chain.fake_chain import block_of, hash_of


def linked(*numbers: int) -> LinkedBlocks:
    blocks = LinkedBlocks()
    for number in numbers:
        blocks.append(block_of(number), hash_of(number - 1))
    return blocks


def test_ancestors_are_linked_to_the_newest_block() -> None:
    blocks = linked(5, 6, 7)
    assert blocks.newest == block_of(7)
    assert [number for number in range(10) if block_of(number) in blocks] == [5, 6, 7]
    assert block_of(6, fork=1) not in blocks


def test_a_gap_and_another_parent_start_again() -> None:
    blocks = linked(5, 6, 8)
    assert [number for number in range(10) if block_of(number) in blocks] == [8]
    assert blocks.append(block_of(9, fork=1), hash_of(8, fork=1)) == 9
    assert block_of(8) not in blocks
    assert block_of(9, fork=1) in blocks


def test_the_oldest_blocks_are_forgotten() -> None:
    blocks = linked(*range(100, 100 + MAX_LINKED_BLOCKS))
    assert block_of(100) in blocks
    newest = 100 + MAX_LINKED_BLOCKS
    assert blocks.append(block_of(newest), hash_of(newest - 1)) == 101
    assert block_of(100) not in blocks
    assert block_of(101) in blocks


def test_nothing_is_linked_to_nothing() -> None:
    blocks = linked(5, 6)
    blocks.clear()
    assert blocks.newest is None
    assert block_of(6) not in blocks
