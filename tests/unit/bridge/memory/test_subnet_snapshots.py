"""Snapshots within a limit of bytes."""

from bridge.memory.memory_reply import MemoryReply
from bridge.memory.subnet_snapshots import SubnetSnapshots
from pylon_client.contract import json_codec
from pylon_client.contract.types import BlockNumber, NetUid
from tests.support.chain.fake_chain import block_of

ONE, TWO = NetUid(1), NetUid(2)
BODY = json_codec.encode({"block": {}, "skipped": [], "neurons": {}})


def reply(number: int, body: bytes = BODY) -> MemoryReply:
    return MemoryReply(block_of(number), body)


def numbers(snapshots: SubnetSnapshots, netuid: NetUid = ONE) -> list[int]:
    return [n for n in range(20) if snapshots.at(netuid, BlockNumber(n)) is not None]


def test_the_oldest_are_dropped_beyond_the_limit_but_never_the_newest_of_a_subnet() -> None:
    snapshots = SubnetSnapshots(max_bytes=3 * len(BODY))
    snapshots.put(TWO, reply(1))
    for number in range(5, 9):
        snapshots.put(ONE, reply(number))
    assert (numbers(snapshots), numbers(snapshots, TWO)) == ([7, 8], [1])
    assert snapshots.size_bytes == 3 * len(BODY)
    large = reply(9, BODY + b" " * 3 * len(BODY))
    snapshots.put(ONE, large)
    assert numbers(snapshots) == [9]
    assert snapshots.newest(ONE) is large


def test_projected_validators_count_as_well() -> None:
    snapshots = SubnetSnapshots(max_bytes=3 * len(BODY))
    old, new = reply(5), reply(6)
    snapshots.put(ONE, old)
    snapshots.put(ONE, new)
    found = snapshots.validators(ONE, new)
    assert found.body == b'{"block":{},"skipped":[],"validators":[]}'
    assert snapshots.validators(ONE, new) is found
    assert numbers(snapshots) == [6]
    assert snapshots.size_bytes == len(BODY) + len(found.body)


def test_a_later_event_of_the_same_block_replaces_the_earlier_one() -> None:
    snapshots = SubnetSnapshots()
    first, second = reply(5), reply(5, BODY + b" ")
    snapshots.put(ONE, first)
    snapshots.validators(ONE, first)
    snapshots.put(ONE, second)
    assert snapshots.newest(ONE) is snapshots.at(ONE, BlockNumber(5)) is second
    assert snapshots.size_bytes == len(second.body)


def test_an_older_snapshot_is_not_the_newest() -> None:
    snapshots = SubnetSnapshots()
    snapshots.put(ONE, reply(6))
    snapshots.put(ONE, reply(5))
    newest = snapshots.newest(ONE)
    assert newest is not None
    assert newest.block == block_of(6)


def test_snapshots_before_a_block_are_dropped() -> None:
    snapshots = SubnetSnapshots()
    for number in (5, 6, 7):
        snapshots.put(ONE, reply(number))
    snapshots.put(TWO, reply(5))
    snapshots.drop_before(BlockNumber(6))
    assert numbers(snapshots) == [6, 7]
    assert snapshots.newest(TWO) is None
    snapshots.clear()
    assert (snapshots.size_bytes, snapshots.newest(ONE)) == (0, None)
