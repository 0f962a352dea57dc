"""Changes of a real chain's neurons: over NATS, REST and SSE, and by both clients."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pylon.events.event_log import EventLog
from pylon_client.contract import json_codec
from pylon_client.contract.models import NeuronChanges, SubnetNeurons
from pylon_client.contract.snapshot_changes import apply_changes
from pylon_client.contract.subjects import ChangesEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber, Hotkey, NetUid
from pylon_client.events.feed import EventFeed
from pylon_client.events.stored_events import FeedEvent
from pylon_client.nats.nats_connection import NatsConnection
from pylon_client.v1 import AsyncConfig, AsyncPylonClient, Config, PylonClient
from pylon_devnet import Devnet, DevnetOptions
from pylon_devnet.population import hotkey
from tests.support.chain.devnet_control import ON_DEMAND_S
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.eventually import HANGS_AFTER_S, comes_true
from tests.support.product.running_worker import connected, worker_on
from tests.support.wire.event_stream import EventStream, listening_client

NETUID = NetUid(2)
SNAPSHOTS, CHANGES = str(NeuronsEventSubject(NETUID)), str(ChangesEventSubject(NETUID))
NEURONS_AT = f"/api/v1/subnet/{NETUID}/block/{{}}/neurons"
CHANGES_SINCE = f"/api/v1/subnet/{NETUID}/block/latest/neurons/changes"
CHANGES_STREAM = f"/api/v1/subnet/{NETUID}/neurons/changes/stream"
NEWCOMER, COLDKEY = hotkey(99, 1), hotkey(99, 2)
REPLACED, MINER = (Hotkey(hotkey(NETUID, uid)) for uid in (3, 5))


@dataclass
class Deployment:
    devnet: Devnet
    nats: NatsServer
    connection: NatsConnection

    async def stored(self, subject: str) -> list[FeedEvent]:
        """Return the stored events of a subject, oldest first."""
        event_log, events, after = EventLog(self.connection), list[FeedEvent](), BlockNumber(0)
        while (event := await event_log(subject, after)) is not None:
            events.append(event)
            after = event.block.number
        return events

    async def publishes_the_head(self, subject: str) -> None:
        async def is_published() -> bool:
            newest = await EventLog(self.connection)(subject)
            return newest is not None and newest.block.number == self.devnet.best_number

        await comes_true(is_published)

    async def change_neurons(self) -> int:
        """Make blocks in which the neurons change; return the number of the last one."""
        self.devnet.register_neuron(NETUID, NEWCOMER, COLDKEY)
        await self.devnet.advance(1)
        self.devnet.deregister_neuron(NETUID, REPLACED)
        self.devnet.set_storage("SubtensorModule", "Active", [NETUID], [False] * 17)
        await self.devnet.advance(2)
        await self.publishes_the_head(CHANGES)
        return self.devnet.best_number


@asynccontextmanager
async def deployment(folder: Path) -> AsyncGenerator[Deployment]:
    async with (
        NatsServer(folder) as nats,
        Devnet(DevnetOptions(port=0, autostart=False, past_blocks=3)) as devnet,
        connected(nats.url) as connection,
    ):
        running = Deployment(devnet, nats, connection)
        async with running_worker(running):
            await running.publishes_the_head(SNAPSHOTS)
            yield running


@asynccontextmanager
async def running_worker(running: Deployment) -> AsyncGenerator[None]:
    url = running.devnet.url
    async with worker_on(running.nats.url, url, netuids=[NETUID], head_silence_s=ON_DEMAND_S):
        yield


def assert_replays(snapshots: list[FeedEvent], changes: list[FeedEvent]) -> None:
    """Each snapshot but the first is the result of its changes, byte for byte."""
    assert [event.block for event in changes] == [event.block for event in snapshots[1:]]
    body = snapshots[0].body
    for event, snapshot in zip(changes, snapshots[1:], strict=True):
        body = apply_changes(body, event.body)
        assert body == snapshot.body


async def test_replayed_changes_are_every_snapshot(tmp_path: Path) -> None:
    async with deployment(tmp_path) as running:
        before = running.devnet.best_number
        event_log = EventLog(running.connection)
        feed = EventFeed(running.connection, [CHANGES], event_log, after=BlockNumber(before))
        async with feed, asyncio.timeout(HANGS_AFTER_S):
            last = await running.change_neurons()
            received = [await anext(feed) for _ in range(before, last)]
        snapshots, changes = await running.stored(SNAPSHOTS), await running.stored(CHANGES)
        assert_replays(snapshots, changes)
        assert [event.body for event in received] == [event.body for event in changes][-3:]
        registered, replaced, _ = (
            NeuronChanges.model_validate_json(event.body) for event in received
        )
        assert [neuron.hotkey for neuron in registered.registered] == [NEWCOMER]
        (replacement,) = replaced.replaced
        assert (replacement.uid, replacement.old_hotkey) == (3, REPLACED)
        assert replaced.changed[MINER] == {"active": False}


async def test_a_restarted_worker_continues_the_changes(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as nats,
        Devnet(DevnetOptions(port=0, autostart=False, past_blocks=3)) as devnet,
        connected(nats.url) as connection,
    ):
        running = Deployment(devnet, nats, connection)
        for _ in range(2):
            async with running_worker(running):
                await running.publishes_the_head(SNAPSHOTS)
                await devnet.advance(2)
                await running.publishes_the_head(CHANGES)
            await devnet.advance(1)
        assert_replays(await running.stored(SNAPSHOTS), await running.stored(CHANGES))


async def test_rest_and_sse_have_the_same_changes(tmp_path: Path) -> None:
    async with (
        deployment(tmp_path) as running,
        BridgeProcess(tmp_path, bridge_environment(running.nats.url)) as bridge,
        listening_client(bridge.url) as client,
    ):
        await bridge.until("/health/ready", 200)
        before = running.devnet.best_number
        known = (await client.get(NEURONS_AT.format(before))).content
        async with EventStream.of(client, CHANGES_STREAM, last_id=before) as stream:
            last = await running.change_neurons()
            await stream.reaches(last)
        latest = (await client.get(NEURONS_AT.format(last))).content
        assert stream.ids == list(range(before + 1, last + 1))
        assert set(stream.names) == {"changes"}
        body = known
        for _, changes in stream.events:
            body = apply_changes(body, json_codec.encode(changes))
        assert body == latest

        async def reaches_the_head() -> bool:
            response = await client.get(CHANGES_SINCE, params={"since": before})
            return response.headers["X-Pylon-Block-Number"] == str(last)

        await comes_true(reaches_the_head)
        response = await client.get(CHANGES_SINCE, params={"since": before})
        assert apply_changes(known, response.content) == latest
        held = {"If-None-Match": response.headers["ETag"]}
        statuses = [
            (await client.get(CHANGES_SINCE, params={"since": since}, headers=held)).status_code
            for since in (before, before + 1)
        ]
        assert statuses == [304, 200]
        unknown = await client.get(CHANGES_SINCE, params={"since": last + 99})
        assert (unknown.status_code, unknown.json()["code"]) == (404, "NOT_FOUND")


async def test_both_clients_follow_the_changes_over_both_transports(tmp_path: Path) -> None:
    async with (
        deployment(tmp_path) as running,
        BridgeProcess(tmp_path, bridge_environment(running.nats.url)) as bridge,
        asyncio.timeout(HANGS_AFTER_S),
    ):
        await bridge.until("/health/ready", 200)
        before = running.devnet.best_number
        last = await running.change_neurons()
        for address in (bridge.url, running.nats.url):
            async with AsyncPylonClient(AsyncConfig(address=address)) as client:
                known = await client.open_access.get_neurons(NETUID, BlockNumber(before))
                latest = await client.open_access.get_neurons(NETUID, BlockNumber(last))
                since = await client.open_access.get_neuron_changes(NETUID, known.block.number)
                assert since.apply_to(known).neurons == latest.neurons
                stream = client.open_access.neuron_changes(NETUID, after=known.block.number)
                async with aclosing(stream) as changes:
                    reached = known
                    for _ in range(before, last):
                        reached = (await anext(changes)).apply_to(reached)
                    assert reached == latest
            assert await asyncio.to_thread(followed_by_blocking_client, address, known, last) == (
                latest
            )


def followed_by_blocking_client(address: str, known: SubnetNeurons, last: int) -> SubnetNeurons:
    after = known.block.number
    with (
        PylonClient(Config(address=address)) as client,
        closing(client.open_access.neuron_changes(NETUID, after=after)) as changes,
    ):
        for one in islice(changes, last - after):
            known = one.apply_to(known)
    return known
