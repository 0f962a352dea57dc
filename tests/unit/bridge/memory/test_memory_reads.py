"""The rule by which the bridge serves reads from its memory."""

import pytest

from bridge.memory.memory_reads import MemoryReads
from pylon_client.contract import json_codec
from pylon_client.contract.reads import (
    LATEST_BLOCK,
    LATEST_NEURONS,
    LATEST_PRICES,
    LATEST_VALIDATORS,
    NEURONS_AT,
    PRICE_AT,
    RECENT_NEURONS,
    VALIDATORS_AT,
)
from pylon_client.contract.subjects import BLOCK_EVENTS, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.events.observed_head import ObservedHead
from pylon_client.events.stored_events import FeedEvent
from tests.support.chain.fake_chain import block_of, hash_of

GENESIS, OTHER_GENESIS = hash_of(0), hash_of(0, fork=9)
NETUID = NetUid(1)
BLOCK_S = 12.0
SILENCE_S = 36.0
BODY = b'{"block":{},"skipped":[],"neurons":{}}'


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def block(
    number: int,
    fork: int = 0,
    *,
    parent_fork: int | None = None,
    head: ObservedHead | None = None,
    genesis: str = GENESIS,
) -> FeedEvent:
    return FeedEvent(
        BLOCK_EVENTS,
        block_of(number, fork),
        b"block %d" % number,
        genesis=genesis,
        parent_hash=hash_of(number - 1, fork if parent_fork is None else parent_fork),
        head=head or ObservedHead(BlockNumber(number), SILENCE_S),
    )


def neurons(number: int, fork: int = 0, genesis: str = GENESIS, body: bytes = BODY) -> FeedEvent:
    return FeedEvent(
        str(NeuronsEventSubject(NETUID)), block_of(number, fork), body, genesis=genesis
    )


class Memory(MemoryReads):
    """A memory with a clock; events of blocks arrive at once."""

    def __init__(self, recent_limit_blocks: int = 64) -> None:
        self.clock = Clock()
        self.connected = True
        super().__init__(
            block_duration_s=BLOCK_S,
            recent_limit_blocks=recent_limit_blocks,
            is_connected=lambda: self.connected,
            clock_s=self.clock,
        )

    def receive(self, *events: FeedEvent) -> bool:
        for event in events:
            if event.subject != BLOCK_EVENTS:
                self.observe_neurons(NETUID, event)
            elif not self.observe_block(event, sent_after_s=self.clock.now_s):
                return False
        return True

    def served(self, operation: str = LATEST_NEURONS.name, at: int | None = None) -> int | None:
        netuid = None if operation == LATEST_BLOCK.name else NETUID
        reply = self.find(operation, netuid, None if at is None else BlockNumber(at))
        return None if reply is None else reply.block.number


@pytest.fixture
def memory() -> Memory:
    """The memory after the event of block 10, which follows the last stored block."""
    memory = Memory()
    memory.synchronize(block(9), None)
    assert memory.receive(block(10), neurons(10))
    return memory


def test_the_newest_values_are_served(memory: Memory) -> None:
    for operation in (LATEST_BLOCK, LATEST_NEURONS, LATEST_VALIDATORS, RECENT_NEURONS):
        assert memory.served(operation.name) == 10
    reply = memory.latest(LATEST_BLOCK.name, None)
    assert reply is not None
    assert reply.body == b"block 10"
    assert memory.latest(LATEST_PRICES.name, None) is None
    assert memory.latest(LATEST_NEURONS.name, NetUid(2)) is None
    assert memory.served(PRICE_AT.name, 10) is None


@pytest.mark.parametrize("operation", [LATEST_NEURONS, LATEST_VALIDATORS])
def test_the_same_object_is_served_until_a_newer_one_arrives(
    memory: Memory, operation: object
) -> None:
    name = LATEST_NEURONS.name if operation is LATEST_NEURONS else LATEST_VALIDATORS.name
    first = memory.latest(name, NETUID)
    assert memory.latest(name, NETUID) is first
    memory.receive(block(11), neurons(11))
    assert memory.latest(name, NETUID) is not first


def test_nothing_is_served_after_the_time_of_the_maximum_lag(memory: Memory) -> None:
    memory.clock.now_s += 3 * BLOCK_S - 0.001
    assert memory.served() == memory.served(NEURONS_AT.name, 10) == 10
    memory.clock.now_s += 0.001
    assert not memory.is_fresh
    for operation in (LATEST_BLOCK, LATEST_NEURONS, LATEST_VALIDATORS, RECENT_NEURONS):
        assert memory.served(operation.name) is None
    assert memory.served(NEURONS_AT.name, 10) is None


def test_a_publisher_limits_the_time_by_the_silence_of_the_chain(memory: Memory) -> None:
    memory.receive(block(11, head=ObservedHead(BlockNumber(11), 2.0)), neurons(11))
    memory.clock.now_s += 1.999
    assert memory.served() == 11
    memory.clock.now_s += 0.001
    assert memory.served() is None


def test_the_time_counts_from_when_an_event_was_sent_at_the_latest(memory: Memory) -> None:
    memory.observe_block(block(11), sent_after_s=memory.clock.now_s - 30)
    memory.clock.now_s += 5.999
    assert memory.served(LATEST_BLOCK.name) == 11
    memory.clock.now_s += 0.001
    assert memory.served(LATEST_BLOCK.name) is None
    memory.observe_block(block(12), sent_after_s=float("-inf"))
    assert memory.served(LATEST_BLOCK.name) is None


def test_nothing_is_served_before_an_event_is_newer_than_the_stored_ones() -> None:
    memory = Memory()
    memory.receive(block(10), neurons(10))
    assert memory.served() is None  # what is stored is not known yet
    memory.synchronize(block(10), BlockNumber(10))
    assert memory.served() is None
    memory.receive(block(11))
    assert memory.served(LATEST_BLOCK.name) == 11


def test_an_empty_event_log_is_older_than_the_first_event() -> None:
    memory = Memory()
    memory.synchronize(None, None)
    memory.receive(block(1), neurons(1))
    assert memory.served() == 1


def test_nothing_is_served_after_a_gap_until_a_newer_event_arrives(memory: Memory) -> None:
    memory.distrust()
    assert memory.served() is None
    memory.receive(block(11))
    assert memory.served(LATEST_BLOCK.name) is None
    memory.synchronize(block(11), BlockNumber(11))
    assert memory.served(LATEST_BLOCK.name) is None
    memory.receive(block(12))
    assert memory.served(LATEST_BLOCK.name) == 12
    assert memory.served() == 10  # still linked, and near the head


def test_nothing_is_served_without_a_connection(memory: Memory) -> None:
    memory.connected = False
    assert memory.served() is None


def test_neurons_that_lag_behind_the_head_are_not_served(memory: Memory) -> None:
    memory.receive(block(11), block(12), block(13))
    assert memory.served() == 10
    assert memory.served(LATEST_BLOCK.name) == 13
    memory.receive(block(14))
    assert memory.served() is None
    assert memory.served(LATEST_BLOCK.name) == 14


def test_blocks_that_are_published_late_are_not_the_latest(memory: Memory) -> None:
    memory.receive(block(11, head=ObservedHead(BlockNumber(15), SILENCE_S)), neurons(11))
    assert memory.served() is memory.served(LATEST_BLOCK.name) is None
    memory.receive(block(12, head=ObservedHead(BlockNumber(15), SILENCE_S)), neurons(12))
    assert memory.served() == memory.served(LATEST_BLOCK.name) == 12


def test_neurons_before_the_event_of_their_block_are_not_served(memory: Memory) -> None:
    memory.receive(neurons(11))
    assert memory.served() is None
    memory.receive(block(11))
    assert memory.served() == 11


def test_after_a_reorg_no_earlier_block_is_served(memory: Memory) -> None:
    memory.receive(block(11), neurons(11))
    assert memory.served(NEURONS_AT.name, 10) == 10
    memory.receive(block(12, fork=1))
    assert memory.served() is None
    for number in (10, 11):
        assert memory.served(NEURONS_AT.name, number) is None
    memory.receive(neurons(12, fork=1))
    assert memory.served() == memory.served(NEURONS_AT.name, 12) == 12


def test_a_missed_block_unlinks_the_earlier_ones(memory: Memory) -> None:
    memory.receive(block(12), neurons(12))
    assert memory.served() == 12
    assert memory.served(NEURONS_AT.name, 10) is None


def test_neurons_of_a_removed_block_are_not_served(memory: Memory) -> None:
    memory.receive(block(11), neurons(11, fork=1))
    assert memory.served() is None
    assert memory.served(NEURONS_AT.name, 11) is None


def test_events_of_older_workers_prove_nothing(memory: Memory) -> None:
    memory.receive(FeedEvent(BLOCK_EVENTS, block_of(11), b"block 11", genesis=GENESIS))
    assert memory.served(LATEST_BLOCK.name) is None
    assert not memory.is_fresh


def test_linked_blocks_are_served_by_number(memory: Memory) -> None:
    for number in range(11, 60):
        memory.receive(block(number), neurons(number))
    assert [n for n in range(70) if memory.served(NEURONS_AT.name, n)] == list(range(28, 60))
    assert [n for n in range(70) if memory.served(VALIDATORS_AT.name, n)] == list(range(28, 60))


def test_a_repeated_event_changes_nothing(memory: Memory) -> None:
    memory.receive(block(11), neurons(11))
    assert memory.receive(block(11))
    assert memory.served() == 11


def test_an_older_event_is_a_contradiction(memory: Memory) -> None:
    memory.receive(block(11), neurons(11))
    assert not memory.receive(block(10))
    assert memory.served() is None
    # It was sent late, and the stored ones have not changed.
    memory.synchronize(block(11), BlockNumber(11))
    memory.receive(block(12))
    assert memory.served() == 11


def test_everything_is_dropped_when_the_stream_starts_again(memory: Memory) -> None:
    memory.receive(block(11), neurons(11))
    assert not memory.receive(block(3, fork=1))
    memory.synchronize(block(3, fork=1), BlockNumber(11))
    assert memory.newest_number is None
    memory.receive(block(4, fork=1))
    assert memory.served(LATEST_BLOCK.name) == 4
    assert memory.served() is None


def test_another_chain_replaces_everything(memory: Memory) -> None:
    assert not memory.receive(block(11, genesis=OTHER_GENESIS))
    assert memory.served() is None
    memory.synchronize(block(11, genesis=OTHER_GENESIS), BlockNumber(10))
    memory.receive(neurons(12), block(12, genesis=OTHER_GENESIS))
    assert memory.served(LATEST_BLOCK.name) == 12
    assert memory.served() is None  # of the chain before
    memory.receive(neurons(12, genesis=OTHER_GENESIS))
    assert memory.served() == 12


def test_recent_neurons_are_limited_by_their_age_in_blocks() -> None:
    memory = Memory(recent_limit_blocks=1)
    memory.synchronize(block(9), None)
    memory.receive(block(10), neurons(10), block(11))
    assert memory.served(RECENT_NEURONS.name) == 10
    memory.clock.now_s += BLOCK_S
    assert memory.served(RECENT_NEURONS.name) is None
    assert memory.served() == 10


def test_events_in_parts_are_left_to_workers(memory: Memory) -> None:
    memory.receive(block(11), neurons(11, body=b""))
    assert memory.served() == 10


def test_validators_are_those_of_the_neurons(memory: Memory) -> None:
    of = [
        {"uid": uid, "validator_permit": uid != 1, "stakes": {"total": total}}
        for uid, total in enumerate((1.0, 9.0, 5.0))
    ]
    body = {"block": {"number": 11}, "skipped": [], "neurons": {str(n["uid"]): n for n in of}}
    memory.receive(block(11), neurons(11, body=json_codec.encode(body)))
    reply = memory.latest(LATEST_VALIDATORS.name, NETUID)
    assert reply is not None
    assert json_codec.decode(reply.body) == {
        "block": {"number": 11},
        "skipped": [],
        "validators": [of[2], of[0]],
    }
