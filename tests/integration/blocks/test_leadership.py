"""One of several workers publishes, and another one takes over when it fails."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pylon.blocks.head_tracker import HeadTracker
from pylon.blocks.leadership import ACQUIRE_RETRY_S, PUBLISHER_LEASE, Leadership
from pylon.jetstream.bucket import ABSENT, Bucket
from pylon.jetstream.lease import Leases
from pylon.jetstream.provision import provision_streams
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.topology import LEADERSHIP_BUCKET, LEADERSHIP_TTL_S
from pylon_client.contract.types import NetUid
from pylon_devnet import Devnet, DevnetOptions
from tests.support.chain.fake_chain import UNAVAILABLE, FakeChain
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.tcp_proxy import TcpProxy
from tests.support.product.eventually import comes_true, eventually
from tests.support.product.running_worker import Published, connected, worker_on

BLOCKS = str(BlockEventSubject())
NEURONS_OF_1 = str(NeuronsEventSubject(NetUid(1)))


class Candidate:
    """A worker as far as leadership goes.

    Attributes:
        publishing: whether it publishes now.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.chain = FakeChain(10)
        self.publishing = False
        heads = HeadTracker(self.chain, silence_s=60, poll_after_s=60)
        self.leadership = Leadership(
            Leases(bucket, LEADERSHIP_TTL_S), heads, self._publish, chain_lost_after_s=0.2
        )
        self._work = [
            asyncio.create_task(heads.run()),
            asyncio.create_task(self.leadership.run()),
        ]

    async def leave(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _publish(self) -> None:
        self.publishing = True
        try:
            await asyncio.Event().wait()
        finally:
            self.publishing = False


@pytest.fixture
async def bucket(tmp_path: Path) -> AsyncGenerator[Bucket]:
    async with NatsServer(tmp_path) as server, connected(server.url) as connection:
        await provision_streams(connection)
        yield Bucket(connection, LEADERSHIP_BUCKET)


@asynccontextmanager
async def candidates(bucket: Bucket, count: int) -> AsyncGenerator[list[Candidate]]:
    running = [Candidate(bucket) for _ in range(count)]
    yield running
    for each in running:
        await each.leave()


def leaders(among: list[Candidate]) -> list[Candidate]:
    return [each for each in among if each.publishing]


def test_a_killed_leader_is_replaced_within_five_seconds() -> None:
    begins_s = 1.0  # asking for the lease, and reading where the stream ends
    assert LEADERSHIP_TTL_S + ACQUIRE_RETRY_S + begins_s < 5


async def test_one_worker_publishes_and_another_takes_over(bucket: Bucket) -> None:
    async with candidates(bucket, 3) as running:
        await eventually(lambda: leaders(running))
        (first,) = leaders(running)
        await first.leave()
        await eventually(lambda: len(leaders(running)) == 1 and leaders(running) != [first])
        assert not first.publishing
        assert sum(each.leadership.terms for each in running) == 2


async def test_a_worker_without_new_heads_releases_the_lease(
    bucket: Bucket,
) -> None:
    async with candidates(bucket, 2) as running:
        await eventually(lambda: leaders(running))
        (first,) = leaders(running)
        first.chain.down = UNAVAILABLE
        first.chain.announcements.put_nowait(UNAVAILABLE)
        await eventually(lambda: leaders(running) and leaders(running) != [first])
        (second,) = leaders(running)
        # It comes back, and does not take away what another one does well.
        first.chain.down = None
        second.chain.down = UNAVAILABLE
        second.chain.announcements.put_nowait(UNAVAILABLE)
        first.chain.announcements.put_nowait(11)
        await eventually(lambda: leaders(running) == [first])


async def test_without_a_live_chain_no_worker_acquires_the_lease(bucket: Bucket) -> None:
    async with candidates(bucket, 1) as (only,):
        await eventually(lambda: only.publishing)
        only.chain.down = UNAVAILABLE
        only.chain.announcements.put_nowait(UNAVAILABLE)
        await eventually(lambda: not only.publishing)

        async def free() -> bool:
            entry = await bucket.get(PUBLISHER_LEASE)
            return entry is None or entry.value == b""

        await comes_true(free)
        only.chain.down = None
        only.chain.announcements.put_nowait(11)
        await eventually(lambda: only.publishing)
        assert only.leadership.terms == 2


async def test_a_worker_that_lost_the_lease_stops_and_may_acquire_it_again(bucket: Bucket) -> None:
    async with candidates(bucket, 1) as (only,):
        await eventually(lambda: only.publishing)
        entry = await bucket.get(PUBLISHER_LEASE)
        assert entry is not None
        assert entry.revision != ABSENT
        await bucket.put(PUBLISHER_LEASE, b"an intruder", revision=entry.revision)
        await eventually(lambda: not only.publishing)
        # The intruder does not renew it.
        await eventually(lambda: only.publishing)
        assert only.leadership.terms == 2


async def test_a_worker_that_does_not_publish_reads_nothing_and_knows_all(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, autostart=False)) as devnet,
        connected(server.url) as connection,
        Published(connection) as published,
        worker_on(server.url, devnet.url) as one,
        worker_on(server.url, devnet.url) as other,
    ):

        async def advance() -> None:
            number = await devnet.advance(1)
            await eventually(lambda: published.numbers(NEURONS_OF_1)[-1:] == [number])

        await advance()
        await eventually(lambda: devnet.request_counts().get("chain_subscribeNewHeads", 0) >= 2)
        devnet.clear_requests()
        for _ in range(5):
            await advance()
        counts = devnet.request_counts()
        assert counts["state_call:NeuronInfoRuntimeApi_get_neurons_lite"] == 5, counts
        # If both workers read, the counts would be twice as high. The publisher may query the head
        # after a while without an announcement.
        # A block is read with its header, and the SDK reads that of each new head.
        headers = counts.pop("chain_getHeader")
        assert headers < 15, headers
        assert all(count < 10 for count in counts.values()), counts
        for worker in (one, other):
            await eventually(
                lambda worker=worker: (
                    (snapshot := worker.snapshots.get_fresh(NEURONS_OF_1))
                    and snapshot.block.number == devnet.best_number
                )
            )


async def test_another_worker_publishes_when_the_publishers_chain_is_down(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
        connected(server.url) as connection,
        Published(connection) as published,
        TcpProxy(int(devnet.url.rsplit(":", 1)[1])) as proxy,
        worker_on(server.url, f"ws://127.0.0.1:{proxy.port}"),
    ):
        await eventually(lambda: len(published.numbers(NEURONS_OF_1)) >= 2)
        async with worker_on(server.url, devnet.url):
            proxy.close()
            gone_at = devnet.best_number
            await eventually(lambda: published.numbers(NEURONS_OF_1)[-1] > gone_at + 2)
        for subject in (BLOCKS, NEURONS_OF_1):
            numbers = published.numbers(subject)
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
