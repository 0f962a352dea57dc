"""When "latest" may be answered from what is kept."""

import pytest

from pylon.blocks.snapshots import Snapshot, Snapshots, parse_snapshot
from pylon.common.freshness import MAX_LAG_BLOCKS
from pylon_client.contract import json_codec
from pylon_client.contract.models import BlockInfo, SubnetNeurons
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber, NetUid, Timestamp
from pylon_client.events.observed_head import ObservedHead
from pylon_client.events.stored_events import FeedEvent
from tests.support.chain.fake_chain import block_of

NETUID = NetUid(1)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def snapshots_at(head: int, clock: Clock) -> Snapshots:
    snapshots = Snapshots(max_silence_s=36.0, clock_s=clock)
    snapshots.put(str(BlockEventSubject()), Snapshot(block_of(head), b"block"))
    snapshots.put(str(NeuronsEventSubject(NETUID)), Snapshot(block_of(head), b"neurons"))
    return snapshots


def test_the_newest_is_given_out_and_an_older_one_does_not_replace_it() -> None:
    snapshots = snapshots_at(10, Clock())
    snapshots.observe_head(BlockNumber(10))
    snapshots.put(str(BlockEventSubject()), Snapshot(block_of(9), b"older"))
    newest = snapshots.latest_block()
    assert newest is not None
    assert (newest.block, newest.body) == (block_of(10), b"block")


def test_an_old_stored_event_is_not_the_latest_before_the_first_head() -> None:
    snapshots = snapshots_at(10, Clock())
    assert snapshots.latest_block() is None
    assert snapshots.get_fresh(str(NeuronsEventSubject(NETUID))) is None


def test_a_chain_that_makes_no_more_blocks_ends_it() -> None:
    clock = Clock()
    snapshots = snapshots_at(10, clock)
    snapshots.observe_head(BlockNumber(10))
    clock.now_s += 36
    assert snapshots.latest_block() is not None
    clock.now_s += 1
    snapshots.observe_head(BlockNumber(10))  # a node that answers without advancing
    assert snapshots.latest_block() is None
    snapshots.observe_head(BlockNumber(11))
    assert snapshots.latest_block() is not None


def test_a_snapshot_too_far_behind_the_head_is_not_the_latest() -> None:
    snapshots = snapshots_at(10, Clock())
    snapshots.observe_head(BlockNumber(10 + MAX_LAG_BLOCKS))
    assert snapshots.get_fresh(str(NeuronsEventSubject(NETUID))) is not None
    snapshots.observe_head(BlockNumber(10 + MAX_LAG_BLOCKS + 1))
    assert snapshots.get_fresh(str(NeuronsEventSubject(NETUID))) is None


def test_a_lower_head_makes_snapshots_of_a_false_head_stale() -> None:
    snapshots = snapshots_at(10, Clock())
    snapshots.observe_head(BlockNumber(2**32 - 1))
    assert snapshots.latest_block() is None
    snapshots.observe_head(BlockNumber(10))
    assert (snapshots.head, snapshots.latest_block() is not None) == (10, True)


def test_nodes_stopped_at_different_blocks_do_not_count_as_an_advance() -> None:
    clock = Clock()
    snapshots = snapshots_at(10, clock)
    for _ in range(10):
        for head in (10, 10 - MAX_LAG_BLOCKS):
            snapshots.observe_head(BlockNumber(head))
            clock.now_s += 5
    assert snapshots.latest_block() is None


def test_events_of_another_chain_are_not_the_latest() -> None:
    snapshots = snapshots_at(5_000, Clock())
    snapshots.observe_head(BlockNumber(3))
    assert snapshots.latest_block() is None


def test_the_last_known_head_is_described_with_its_age() -> None:
    clock = Clock()
    snapshots = snapshots_at(10, clock)
    assert not snapshots.describe_last_head()
    snapshots.observe_head(BlockNumber(10))
    clock.now_s += 75
    assert snapshots.describe_last_head() == " The last known block is 10, 75 s ago."


def test_an_untracked_subnet_has_no_snapshot() -> None:
    snapshots = snapshots_at(10, Clock())
    snapshots.observe_head(BlockNumber(10))
    assert snapshots.get_fresh(str(NeuronsEventSubject(NetUid(2)))) is None


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"\xff", b'{"number":9,"hash":"0x09","timestamp":1}', b'{"number":10}']
)
def test_a_body_that_does_not_match_its_headers_is_rejected(body: bytes) -> None:
    for subject in (str(BlockEventSubject()), str(NeuronsEventSubject(NETUID))):
        assert parse_snapshot(FeedEvent(subject, block_of(10), body)) is None


def test_a_snapshot_has_the_body_of_its_event() -> None:
    block = block_of(10)
    info = BlockInfo(number=block.number, hash=block.hash, timestamp=Timestamp(5))
    neurons = SubnetNeurons(block=block, neurons={})
    for subject, published in ((BlockEventSubject(), info), (NeuronsEventSubject(NETUID), neurons)):
        body = json_codec.encode(published)
        assert parse_snapshot(FeedEvent(str(subject), block, body)) == Snapshot(block, body)


def test_the_head_counts_as_the_newest_for_the_rest_of_the_limit_of_silence() -> None:
    clock = Clock()
    snapshots = snapshots_at(10, clock)
    assert snapshots.observed_head is None
    snapshots.observe_head(BlockNumber(10))
    clock.now_s += 30
    assert snapshots.observed_head == ObservedHead(BlockNumber(10), 6.0)
    clock.now_s += 30
    assert snapshots.observed_head == ObservedHead(BlockNumber(10), 0.0)
