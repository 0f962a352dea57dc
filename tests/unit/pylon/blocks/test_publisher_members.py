"""Which workers can publish, by their heartbeats."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from pylon.blocks.publisher_members import (
    MAX_MISSED_HEARTBEATS,
    PublisherMembers,
    choose_publisher,
)
from pylon_client.contract.types import NetUid, PublisherId
from tests.support.product.eventually import eventually
from tests.support.product.stepped_loop import run_stepped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pylon.events.publisher_heartbeats import PublisherHeartbeats

A, B, C = (PublisherId(f"0000000{letter}") for letter in "abc")


class Heartbeats:
    """Delivers each heartbeat to its sender."""

    def __init__(self) -> None:
        self.sent: list[bool] = []
        self._callback: Callable[[PublisherId, bool], None] = lambda _id, _available: None

    async def send(self, publisher: PublisherId, *, is_available: bool) -> None:
        self.sent.append(is_available)
        self._callback(publisher, is_available)

    @asynccontextmanager
    async def subscription(
        self, callback: Callable[[PublisherId, bool], None]
    ) -> "AsyncGenerator[None]":
        self._callback = callback
        yield


class System:
    """The members as one worker observes them."""

    def __init__(self) -> None:
        self.heartbeats = Heartbeats()
        self.can_publish = True
        self.left = 0
        self.members = PublisherMembers(
            cast("PublisherHeartbeats", self.heartbeats), can_publish=lambda: self.can_publish
        )
        self.members.on_left = self._on_left

    def beat(self, times: int = 1) -> None:
        for _ in range(times):
            self.members.observe(self.members.own_id, True)

    def _on_left(self) -> None:
        self.left += 1


def test_a_subnet_moves_only_if_its_publisher_leaves() -> None:
    netuids = [NetUid(netuid) for netuid in range(128)]
    before = {netuid: choose_publisher(netuid, [A, B, C]) for netuid in netuids}
    after = {netuid: choose_publisher(netuid, [C, A]) for netuid in netuids}
    assert all(after[netuid] == before[netuid] for netuid in netuids if before[netuid] != B)
    assert min(Counter(before.values()).values()) > 25


def test_a_silent_worker_is_dead_after_some_heartbeats_of_this_one() -> None:
    system = System()
    system.members.observe(A, True)
    system.beat(MAX_MISSED_HEARTBEATS - 1)
    assert system.members.is_live(A)
    system.members.observe(A, True)
    system.beat(MAX_MISSED_HEARTBEATS - 1)
    assert (system.members.is_live(A), system.left) == (True, 0)
    system.beat()
    assert (system.members.is_live(A), system.left) == (False, 1)
    system.beat(3)
    assert system.left == 1
    system.members.observe(A, True)
    assert system.members.is_live(A)


def test_while_this_worker_receives_nothing_no_other_one_is_dead() -> None:
    system = System()
    system.members.observe(A, True)
    for _ in range(100):
        system.members.observe(B, True)
    assert system.members.is_live(A)


def test_a_worker_that_cannot_publish_has_left_at_once() -> None:
    system = System()
    system.members.observe(A, True)
    for _ in range(3):
        system.members.observe(A, False)
        system.beat()
    assert (system.members.is_live(A), system.left) == (False, 1)


def test_a_listed_worker_is_given_time_for_a_heartbeat_and_not_listed_before() -> None:
    system = System()
    assert system.members.is_live(A)
    assert system.members.to_list == [system.members.own_id]
    system.beat(MAX_MISSED_HEARTBEATS)
    assert (system.members.is_live(A), system.left) == (False, 1)
    system.members.observe(A, True)
    assert system.members.to_list == [A], "this worker is not available yet"


def test_dead_workers_are_forgotten() -> None:
    system = System()
    system.members.observe(A, True)
    system.beat(2000)
    assert not system.members._others


def test_it_sends_heartbeats_and_the_end() -> None:
    async def scenario() -> None:
        system = System()
        running = asyncio.create_task(system.members.run())
        await eventually(lambda: system.members.is_available)
        assert system.members.is_live(system.members.own_id)
        system.members.observe(A, True)
        assert system.members.to_list == sorted([A, system.members.own_id])
        system.can_publish = False
        await eventually(lambda: not system.members.is_available)
        assert system.left == 1
        assert system.members.to_list == [A]
        system.can_publish = True
        await eventually(lambda: system.members.is_available)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert system.heartbeats.sent[-1] is False

    run_stepped(scenario())
