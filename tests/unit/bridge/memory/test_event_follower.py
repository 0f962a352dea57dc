"""Events reach the memory with a bound of their age."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from bridge.memory.event_follower import EventFollower
from bridge.memory.memory_reads import MemoryReads
from pylon_client.contract import headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.reads import LATEST_BLOCK, LATEST_NEURONS
from pylon_client.contract.subjects import ALL_NEURONS_EVENTS, BLOCK_EVENTS
from pylon_client.contract.types import NetUid
from pylon_client.nats.nats_reply import Reply
from tests.support.chain.fake_chain import hash_of
from tests.support.nats.fake_connection import FakeConnection
from tests.support.product.eventually import eventually

if TYPE_CHECKING:
    from pylon_client.nats.nats_connection import NatsConnection

GENESIS = hash_of(0)
BLOCK_S = 1200.0


def event_headers(number: int, fork: int = 0) -> dict[str, str]:
    return {
        headers.BLOCK_NUMBER: str(number),
        headers.BLOCK_HASH: hash_of(number, fork),
        headers.GENESIS: GENESIS,
    }


class Following:
    """A follower of events on a fake connection, and its clock."""

    def __init__(self) -> None:
        self.now_s = 5000.0
        self.newest_stored = 9
        self.failures: list[FailureError] = []
        self.connection = FakeConnection(self._reply)
        self.memory = MemoryReads(
            block_duration_s=BLOCK_S,
            recent_limit_blocks=64,
            is_connected=lambda: self.connection.is_connected,
            clock_s=lambda: self.now_s,
        )
        self.follower = EventFollower(
            self._connected, self.memory, block_duration_s=BLOCK_S, clock_s=lambda: self.now_s
        )

    async def _connected(self) -> "NatsConnection":
        return cast("NatsConnection", self.connection)

    def _reply(self, _subject: str, _body: bytes) -> Reply:
        if self.failures:
            raise self.failures.pop()
        return Reply(b"stored", event_headers(self.newest_stored))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        task = asyncio.create_task(self.follower.run())
        try:
            await self.synchronized(1)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def synchronized(self, times: int) -> None:
        """Wait until the newest stored event was read a number of times, and all is quiet."""
        await eventually(lambda: len(self.connection.requests) >= times)
        for _ in range(10):
            await asyncio.sleep(0)

    async def block(self, number: int, *, fork: int = 0, received_s: float | None = None) -> None:
        found = event_headers(number, fork) | {
            headers.PARENT_HASH: hash_of(number - 1, fork),
            headers.HEAD: f"{number} 99999999",
        }
        await self.deliver(BLOCK_EVENTS, BLOCK_EVENTS, b"block", found, received_s)

    async def deliver(
        self,
        subscription: str,
        subject: str,
        body: bytes,
        found: dict[str, str],
        received_s: float | None = None,
    ) -> None:
        message = SimpleNamespace(
            subject=subject,
            data=body,
            headers=found,
            received_at_s=self.now_s if received_s is None else received_s,
        )
        await self.connection.callbacks[subscription](message)

    @property
    def serves_block(self) -> bool:
        return self.memory.latest(LATEST_BLOCK.name, None) is not None


@pytest.fixture
async def following() -> AsyncGenerator[Following]:
    following = Following()
    async with following.running():
        following.now_s += 1
        yield following


async def test_events_that_arrive_are_served(following: Following) -> None:
    await following.block(10)
    subject = "pylon.v1.event.neurons.12"
    await following.deliver(ALL_NEURONS_EVENTS, subject, b"neurons", event_headers(10))
    assert following.serves_block
    reply = following.memory.latest(LATEST_NEURONS.name, NetUid(12))
    assert reply is not None
    assert reply.body == b"neurons"


async def test_an_event_is_as_old_as_the_last_round_trip_before_it(following: Following) -> None:
    following.now_s += 3 * BLOCK_S - 2  # the round trip at the start is the last one
    await following.block(10)
    assert following.serves_block
    following.now_s += 1
    assert not following.serves_block


async def test_an_event_from_before_the_round_trip_is_of_unknown_age(following: Following) -> None:
    await following.block(10, received_s=following.now_s - 1)
    assert not following.serves_block


async def test_a_gap_is_followed_by_a_comparison_with_the_log(following: Following) -> None:
    await following.block(10)
    following.newest_stored = 12
    following.connection.report_gap()
    assert not following.serves_block
    await following.synchronized(2)
    following.now_s += 1
    await following.block(12)
    assert not following.serves_block
    await following.block(13)
    assert following.serves_block


async def test_a_failed_comparison_is_repeated() -> None:
    following = Following()
    following.failures = [FailureError(ErrorCode.NATS_UNAVAILABLE, "No worker is running.")]
    async with following.running():
        await following.synchronized(2)
        following.now_s += 1
        await following.block(10)
        assert following.serves_block


async def test_a_contradiction_is_followed_by_a_comparison_with_the_log(
    following: Following,
) -> None:
    await following.block(10)
    following.newest_stored = 3
    await following.block(3, fork=1)
    await following.synchronized(2)
    assert following.memory.newest_number is None
    following.now_s += 1
    await following.block(4, fork=1)
    assert following.serves_block


async def test_a_flush_without_a_connection_is_not_a_round_trip() -> None:
    following = Following()
    following.connection.is_connected = False
    async with following.running():
        following.connection.is_connected = True
        following.now_s += 1
        await following.block(10)
        assert not following.serves_block


@pytest.mark.parametrize(
    "spoil", [lambda found: found.clear(), lambda found: found.update({headers.HEAD: "x"})]
)
async def test_messages_that_are_not_events_are_ignored(
    following: Following, spoil: Callable[[dict[str, str]], object]
) -> None:
    found = event_headers(11)
    spoil(found)
    await following.deliver(BLOCK_EVENTS, BLOCK_EVENTS, b"block", found)
    await following.deliver(ALL_NEURONS_EVENTS, "pylon.v1.event.neurons.1", b"x", found)
    assert following.memory.newest_number is None
