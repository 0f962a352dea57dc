"""Which worker publishes which subnet at which block."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from pylon.blocks.publish_progress import PublishProgress
from pylon.blocks.publisher_members import PublisherMembers, choose_publisher
from pylon.blocks.subnet_publisher import MAX_QUEUED_BLOCKS
from pylon.blocks.subnet_shares import HANDOVER_TIMEOUT_S, SubnetShares
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber, NetUid, PublisherId
from pylon_client.events.stored_events import FeedEvent
from tests.support.chain.fake_chain import block_of
from tests.support.product.stepped_loop import run_stepped

if TYPE_CHECKING:
    from pylon.blocks.subnet_publisher import SubnetPublisher
    from pylon_client.contract.models import Block

NETUIDS = [NetUid(netuid) for netuid in range(1, 13)]
ME, OTHER, THIRD = (PublisherId(f"0000000{letter}") for letter in "abc")
STALLED_AFTER_S = 120.0


class Subnet:
    """Records what a publisher of one subnet has to do."""

    def __init__(self, netuid: NetUid, log: list[tuple[NetUid, str, int]]) -> None:
        self.netuid = netuid
        self.is_idle = True
        self._log = log

    def enqueue(self, block: "Block") -> None:
        self._log.append((self.netuid, "next", block.number))

    def take_over(self, block: "Block") -> None:
        self._log.append((self.netuid, "take over", block.number))

    def drop(self) -> None:
        self._log.append((self.netuid, "drop", 0))

    async def run(self) -> None:
        await asyncio.Event().wait()


class Members:
    """The workers that can publish; a test sets them."""

    def __init__(self) -> None:
        self.own_id = ME
        self.live = {ME, OTHER}

    def is_live(self, publisher: PublisherId) -> bool:
        return publisher in self.live

    def on_left(self) -> None:
        raise AssertionError("it is replaced")


class System:
    """The shares of one worker."""

    def __init__(self) -> None:
        self.log: list[tuple[NetUid, str, int]] = []
        self.members: Any = Members()
        self.subnets = [Subnet(netuid, self.log) for netuid in NETUIDS]
        self.head: BlockNumber | None = None
        self.is_leader = False
        self.requests: dict[NetUid, int] = {}
        self.clock_s = 0.0
        self.progress = PublishProgress(lambda: self.clock_s)
        self.shares = SubnetShares(
            cast("list[SubnetPublisher]", self.subnets),
            cast("PublisherMembers", self.members),
            self.progress,
            is_leader=lambda: self.is_leader,
            head=lambda: self.head,
            demand=lambda netuid: self.requests.get(netuid, 0),
            stalled_after_s=STALLED_AFTER_S,
        )

    def block(self, number: int, *publishers: PublisherId) -> list[tuple[NetUid, str, int]]:
        """Observe a block; return what the publishers have to do."""
        self.shares.observe(
            FeedEvent(str(BlockEventSubject()), block_of(number), b"", publishers=publishers)
        )
        return self.actions()

    def snapshot(self, netuid: NetUid, number: int) -> list[tuple[NetUid, str, int]]:
        self.shares.observe(FeedEvent(str(NeuronsEventSubject(netuid)), block_of(number), b""))
        return self.actions()

    def left(self, publisher: PublisherId) -> list[tuple[NetUid, str, int]]:
        self.members.live.discard(publisher)
        self.members.on_left()
        return self.actions()

    def actions(self) -> list[tuple[NetUid, str, int]]:
        found = list(self.log)
        self.log.clear()
        return found


def share(publisher: PublisherId, *publishers: PublisherId) -> list[NetUid]:
    return [netuid for netuid in NETUIDS if choose_publisher(netuid, publishers) == publisher]


@pytest.fixture
def system() -> System:
    return System()


async def test_each_worker_publishes_its_share_of_each_block(system: System) -> None:
    mine = share(ME, ME, OTHER)
    assert 0 < len(mine) < len(NETUIDS)
    assert system.block(5, ME, OTHER) == [(netuid, "take over", 5) for netuid in mine]
    assert system.block(6, ME, OTHER) == [(netuid, "next", 6) for netuid in mine]
    assert system.block(6, ME, OTHER) == []
    assert system.block(5, ME) == []
    assert system.shares.owned_subnets == len(mine)


async def test_the_subnets_requested_most_often_come_first(system: System) -> None:
    system.requests = {NetUid(7): 1, NetUid(3): 5}
    order = [netuid for netuid, _, _ in system.block(5, ME)]
    assert order == [3, 7, *(netuid for netuid in NETUIDS if netuid not in {3, 7})]


async def test_the_subnets_of_a_dead_worker_are_taken_over_at_the_newest_block(
    system: System,
) -> None:
    system.block(5, ME, OTHER, THIRD)
    system.members.live.add(THIRD)
    system.block(6, ME, OTHER, THIRD)
    gained = set(share(ME, ME, THIRD)) - set(share(ME, ME, OTHER, THIRD))
    assert set(system.left(OTHER)) == {(netuid, "take over", 6) for netuid in gained}
    kept = set(share(ME, ME, THIRD))
    assert set(system.block(7, ME, OTHER, THIRD)) == {(netuid, "next", 7) for netuid in kept}


async def test_a_live_worker_finishes_its_last_block_before_another_one_takes_over(
    system: System,
) -> None:
    system.block(5, OTHER)
    mine = share(ME, ME, OTHER)
    assert system.block(6, ME, OTHER) == []
    first, second, third, *_ = mine
    assert system.snapshot(first, 4) == []
    assert system.snapshot(first, 5) == [(first, "take over", 6)]
    assert system.block(7, ME, OTHER) == [(first, "next", 7)]
    assert system.snapshot(second, 5) == [(second, "take over", 7)]
    assert (third, "take over", 7) in system.left(OTHER)


async def test_subnets_whose_last_snapshot_was_observed_before_are_taken_over_at_once(
    system: System,
) -> None:
    system.block(5, OTHER)
    complete, incomplete, *_ = share(ME, ME, OTHER)
    system.snapshot(complete, 5)
    system.snapshot(incomplete, 4)
    assert system.block(6, ME, OTHER) == [(complete, "take over", 6)]


def test_a_worker_that_does_not_finish_its_last_block_is_not_awaited_for_ever() -> None:
    async def scenario() -> None:
        system = System()
        system.block(5, OTHER)
        system.block(6, ME, OTHER)
        await asyncio.sleep(HANDOVER_TIMEOUT_S - 1)
        assert system.actions() == []
        await asyncio.sleep(2)
        assert {netuid for netuid, _, _ in system.actions()} == set(share(ME, ME, OTHER))

    run_stepped(scenario())


async def test_queued_blocks_are_finished_after_a_handover_and_dropped_after_a_takeover(
    system: System,
) -> None:
    system.block(5, ME)
    assert system.block(6, OTHER) == []
    system.block(7, ME, OTHER)
    mine = share(ME, ME, OTHER)
    for netuid in mine:
        system.snapshot(netuid, 6)
    assert system.left(ME) == [(netuid, "drop", 0) for netuid in mine]
    assert system.shares.owned_subnets == 0


async def test_without_a_live_listed_worker_the_leader_publishes_all(system: System) -> None:
    assert system.block(5, THIRD) == []
    system.is_leader = True
    system.shares.reassign()
    assert system.actions() == [(netuid, "take over", 5) for netuid in NETUIDS]


async def test_a_leader_of_an_older_version_publishes_all_itself(system: System) -> None:
    system.block(5, ME)
    assert system.block(6) == []
    assert system.shares.owned_subnets == 0
    assert system.block(7, ME) == [(netuid, "take over", 7) for netuid in NETUIDS]


async def test_blocks_far_away_from_the_head_get_no_snapshots(system: System) -> None:
    system.head = BlockNumber(100)
    assert system.block(100 + MAX_QUEUED_BLOCKS, ME) == []
    assert system.block(100 - MAX_QUEUED_BLOCKS, ME) == []
    assert len(system.block(101 - MAX_QUEUED_BLOCKS, ME)) == len(NETUIDS)


async def test_a_stalled_worker_leaves_its_subnets_to_those_that_publish(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    others = share(OTHER, ME, OTHER)
    system.block(5, ME, OTHER)
    system.clock_s = STALLED_AFTER_S - 1
    system.snapshot(others[0], 5)
    system.clock_s = STALLED_AFTER_S
    system.snapshot(share(ME, ME, OTHER)[0], 5)
    assert not system.shares.stands_down, "no other worker has stored its own snapshot since"
    system.snapshot(others[0], 6)
    assert system.shares.stands_down
    assert "no snapshot stored for 120 s" in caplog.text


async def test_time_without_a_due_block_does_not_count_as_stalled(system: System) -> None:
    others = share(OTHER, ME, OTHER)
    system.block(5, ME, OTHER)
    system.progress.mark_published()
    system.clock_s = 10 * STALLED_AFTER_S
    system.block(6, ME, OTHER)
    system.snapshot(others[0], 6)
    assert not system.shares.stands_down


async def test_after_a_failure_it_continues_after_the_stored_snapshots(system: System) -> None:
    system.block(5, ME)
    running = asyncio.create_task(system.shares.run())
    await asyncio.sleep(0)
    assert system.actions() == [(netuid, "take over", 5) for netuid in NETUIDS]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
