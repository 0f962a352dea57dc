"""Snapshots before the newest ones, within a limit of bytes."""

from pylon.blocks.past_snapshots import PastSnapshots
from tests.support.chain.fake_chain import block_of

ONE, TWO = "pylon.v1.event.neurons.1", "pylon.v1.event.neurons.2"


def test_a_snapshot_is_found_by_its_subject_and_its_block() -> None:
    past = PastSnapshots()
    past.put(ONE, block_of(5), b"five")
    assert past.get(ONE, block_of(5)) == b"five"
    assert past.get(TWO, block_of(5)) is None
    assert past.get(ONE, block_of(5, fork=1)) is None


def test_the_oldest_snapshots_are_dropped_above_the_limit() -> None:
    past = PastSnapshots(max_bytes=10)
    for number in (1, 2, 3):
        past.put(ONE, block_of(number), b"12345")
    assert [past.get(ONE, block_of(number)) for number in (1, 2, 3)] == [None, b"12345", b"12345"]
    past.put(ONE, block_of(3), b"1234567")  # again, and larger
    assert [past.get(ONE, block_of(number)) for number in (2, 3)] == [None, b"1234567"]
    past.put(ONE, block_of(4), b"larger than the limit")
    assert [past.get(ONE, block_of(number)) for number in (3, 4)] == [None, None]
