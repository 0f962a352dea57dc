"""A thousand subscribers over NATS see every block once, in order, whatever breaks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from pylon.messaging.permissions import authorization
from pylon_client.contract.subjects import BLOCK_EVENTS, NeuronsEventSubject
from pylon_client.contract.types import NetUid
from pylon_client.transport.connection import Connection, ConnectionOptions, connect
from pylon_client.transport.feed import EventFeed, last_by_request
from tests.support.deployment import WORKER_PASSWORD, deployment_settings
from tests.support.devnet_process import DevnetProcess
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer
from tests.support.worker_process import READY, leader_among, worker_process

SUBSCRIBERS = 1_000
OF_NEURONS_TOO = 100
CONNECTS_AT_ONCE = 20
NEURONS = str(NeuronsEventSubject(NetUid(2)))
# A block's delivery to all of them takes this one process about half a second.
BLOCK_TIME_S = 1.0


class Subscriber:
    """Follows the events over a connection of its own, and keeps each number that it was given.

    Attributes:
        numbers: of each subject.
    """

    def __init__(self, connection: Connection, subjects: list[str]) -> None:
        self.numbers: dict[str, list[int]] = {subject: [] for subject in subjects}
        self.connection = connection
        self._feed = EventFeed(connection, subjects, last_by_request(connection))

    async def follow(self) -> None:
        async with self._feed:
            async for event in self._feed:
                self.numbers[event.subject].append(event.block.number)

    def is_past(self, number: int) -> bool:
        return all(numbers[-1:] > [number] for numbers in self.numbers.values())

    def missed(self) -> list[str]:
        """What was not exactly every block once, in order."""
        return [
            f"{subject}: {numbers}"
            for subject, numbers in self.numbers.items()
            if numbers != list(range(numbers[0], numbers[0] + len(numbers)))
        ] + [f"lost {self._feed.counts.lost}" for _ in range(self._feed.counts.lost > 0)]

    @property
    def replayed(self) -> int:
        return self._feed.counts.replayed


@asynccontextmanager
async def subscribers(url: str) -> AsyncGenerator[list[Subscriber]]:
    async with AsyncExitStack() as stack:
        slots = asyncio.Semaphore(CONNECTS_AT_ONCE)

        async def subscriber(number: int) -> Subscriber:
            async with slots:
                connection = await connect(ConnectionOptions((url,), connect_timeout_s=60))
            stack.push_async_callback(connection.close)
            of_neurons_too = number < OF_NEURONS_TOO
            return Subscriber(connection, [BLOCK_EVENTS, *([NEURONS] if of_neurons_too else [])])

        everybody = await asyncio.gather(*map(subscriber, range(SUBSCRIBERS)))
        following = [asyncio.create_task(each.follow()) for each in everybody]
        yield everybody
        for task in following:
            task.cancel()
        ended = await asyncio.gather(*following, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended[:3]


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_n7_a_thousand_subscribers_see_every_block_once_in_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("ERROR")  # each of a thousand connections warns when it is lost
    settings = {
        "PYLON_NATS_WORKER_PASSWORD": WORKER_PASSWORD,
        "PYLON_TRACKED_NETUIDS": "[2]",
    }
    async with (
        NatsServer(tmp_path, authorization(deployment_settings())) as server,
        DevnetProcess(tmp_path, block_time_s=BLOCK_TIME_S) as devnet,
        worker_process(tmp_path, server.url, devnet.url, **settings) as one,
        worker_process(tmp_path, server.url, devnet.url, **settings) as other,
    ):
        await asyncio.gather(one.logs(READY), other.logs(READY))
        async with subscribers(server.url) as everybody:

            async def all_past(number: int) -> None:
                await eventually(
                    lambda: all(each.is_past(number) for each in everybody), within_s=90
                )

            await all_past(1)

            await devnet.kill()
            await devnet.start()
            await all_past(await devnet.best_number())

            await server.kill()
            unheard_of = await devnet.best_number() + 2
            await eventually(lambda: not any(each.connection.is_connected for each in everybody))
            while await devnet.best_number() < unheard_of:
                await asyncio.sleep(0.1)
            await server.start()
            await all_past(unheard_of)

            leader = await leader_among([one, other])
            await leader.kill()
            await all_past(await devnet.best_number() + 2)

            assert [each.missed() for each in everybody if each.missed()] == []
            # Those that were published while the others were still on their way back.
            assert sum(each.replayed for each in everybody) > 0
