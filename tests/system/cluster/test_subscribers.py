"""Hundreds of NATS subscribers receive every block once and in order, in spite of faults."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from pylon.nats_server.permissions import authorization_config
from pylon_client.contract.subjects import BLOCK_EVENTS, NeuronsEventSubject
from pylon_client.contract.topology import EVENTS
from pylon_client.contract.types import NetUid
from pylon_client.events.feed import EventFeed, event_log_via_worker
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.chain.devnet_control import ON_DEMAND_S, ON_DEMAND_SETTINGS
from tests.support.chain.devnet_process import DevnetProcess
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.tcp_proxy import TcpProxy
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings
from tests.support.product.eventually import eventually
from tests.support.product.sizes import sized
from tests.support.product.worker_process import READY, leader_among, worker_process

SUBSCRIBERS = sized(usual=200, full=1_000)
OF_NEURONS_TOO = SUBSCRIBERS // 10
BEHIND_PROXY = 20
HISTORY = EVENTS.max_msgs_per_subject
NEURONS = str(NeuronsEventSubject(NetUid(2)))


class Subscriber:
    """A subscriber to the events over a separate connection, which stores each number.

    Attributes:
        numbers: of each subject.
    """

    def __init__(self, connection: NatsConnection, subjects: list[str]) -> None:
        self.numbers: dict[str, list[int]] = {subject: [] for subject in subjects}
        self.connection = connection
        self._feed = EventFeed(connection, subjects, event_log_via_worker(connection))

    async def follow(self) -> None:
        async with self._feed:
            async for event in self._feed:
                self.numbers[event.subject].append(event.block.number)

    def has_reached(self, number: int) -> bool:
        return all(numbers[-1:] >= [number] for numbers in self.numbers.values())

    def missed(self) -> list[str]:
        """Return the subjects whose numbers are not every block exactly once, in order."""
        return [
            f"{subject}: {numbers}"
            for subject, numbers in self.numbers.items()
            if numbers != list(range(numbers[0], numbers[0] + len(numbers)))
        ] + [f"lost {self._feed.counts.lost}" for _ in range(self._feed.counts.lost > 0)]

    @property
    def replayed(self) -> int:
        return self._feed.counts.replayed


@asynccontextmanager
async def subscribers(url: str, proxy_url: str) -> AsyncGenerator[list[Subscriber]]:
    """Yield the subscribers; the first BEHIND_PROXY of them are connected to `proxy_url`."""
    async with AsyncExitStack() as stack:

        async def subscriber(number: int) -> Subscriber:
            to = proxy_url if number < BEHIND_PROXY else url
            connection = await connect(ConnectionOptions((to,), connect_timeout_s=60))
            stack.push_async_callback(connection.close)
            of_neurons_too = number < OF_NEURONS_TOO
            return Subscriber(connection, [BLOCK_EVENTS, *([NEURONS] if of_neurons_too else [])])

        # One by one: the server ends a handshake that takes longer than its authorization timeout.
        everybody = [await subscriber(number) for number in range(SUBSCRIBERS)]
        following = [asyncio.create_task(each.follow()) for each in everybody]
        yield everybody
        for task in following:
            task.cancel()
        ended = await asyncio.gather(*following, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended[:3]


async def all_reach(number: int, subscribers: list[Subscriber]) -> None:
    await eventually(lambda: all(each.has_reached(number) for each in subscribers))


@pytest.mark.slow
async def test_hundreds_of_subscribers_see_every_block_once_in_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The test makes new blocks only after all subscribers have received the previous ones."""
    caplog.set_level("ERROR")  # each of the connections warns when it is lost
    settings = {
        "PYLON_NATS_WORKER_PASSWORD": WORKER_PASSWORD,
        "PYLON_TRACKED_NETUIDS": "[2]",
        **ON_DEMAND_SETTINGS,
    }
    async with (
        NatsServer(tmp_path, authorization_config(deployment_settings())) as server,
        TcpProxy(server.port) as proxy,
        DevnetProcess(tmp_path, block_time_s=ON_DEMAND_S) as devnet,
        worker_process(tmp_path, server.url, devnet.url, **settings) as one,
        worker_process(tmp_path, server.url, devnet.url, **settings) as other,
    ):
        await asyncio.gather(one.logs(READY), other.logs(READY))
        async with subscribers(server.url, f"nats://127.0.0.1:{proxy.port}") as everybody:
            for _ in range(3):
                await all_reach(await devnet.advance(), everybody)

            await devnet.kill()
            await devnet.start()
            await all_reach(await devnet.advance(2), everybody)

            proxy.close()
            await server.kill()
            await eventually(lambda: not any(each.connection.is_connected for each in everybody))
            unpublished = await devnet.advance(2)
            await server.start()
            await proxy.open_listener()
            await all_reach(unpublished, everybody)

            leader = await leader_among([one, other])
            await leader.kill()
            await all_reach(await devnet.advance(2), everybody)

            away, present = everybody[:BEHIND_PROXY], everybody[BEHIND_PROXY:]
            replayed_before = [each.replayed for each in away]
            proxy.close()
            await eventually(lambda: not any(each.connection.is_connected for each in away))
            newest = await devnet.advance(HISTORY)
            await all_reach(newest, present)
            await proxy.open_listener()
            await all_reach(newest, everybody)

            assert [each.missed() for each in everybody if each.missed()] == []
            # Both subjects' events of the whole history came from the stream.
            replayed = [each.replayed for each in away]
            assert replayed == [before + 2 * HISTORY for before in replayed_before]
