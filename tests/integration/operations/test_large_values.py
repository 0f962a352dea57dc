"""Values larger than the maximum payload: 150 kB through a nats-server that accepts 64 kB."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from pylon.worker.settings import WorkerSettings
from pylon_client.contract import json_codec, reads
from pylon_client.contract.subjects import NeuronsEventSubject
from pylon_client.contract.types import NetUid
from pylon_client.events.feed import EventFeed, event_log_via_worker
from tests.support.product.eventually import comes_true
from tests.support.product.reads_deployment import ReadsDeployment, Via, reads_deployment
from tests.support.product.running_worker import running

LIMIT_BYTES = 65_536
BLOCKS = 40
NEURONS_CALL = "state_call:NeuronInfoRuntimeApi_get_neurons_lite"


@pytest.fixture
async def pylon(tmp_path: Path) -> AsyncGenerator[ReadsDeployment]:
    async with reads_deployment(tmp_path, max_payload_bytes=LIMIT_BYTES) as deployment:
        yield deployment


async def test_a_large_reply_arrives_over_both_transports(pylon: ReadsDeployment) -> None:
    assert pylon.connections["open"].nats.max_payload == LIMIT_BYTES
    for operation, at in ((reads.LATEST_NEURONS, {}), (reads.NEURONS_AT, {"block_number": 2})):
        params: dict[str, Any] = at
        got = [await pylon.query(via, operation, netuid=1, **params) for via in Via]
        assert got[0].body == got[1].body
        assert len(got[0].body["neurons"]) == 256
        assert len(json_codec.encode(got[0].body)) > 2 * LIMIT_BYTES


async def test_large_snapshots_reach_every_subscriber_once_and_in_order(
    pylon: ReadsDeployment,
) -> None:
    connection = pylon.connections["sn2"]
    subject = str(NeuronsEventSubject(NetUid(1)))
    seen: list[int] = []
    async with EventFeed(connection, [subject], event_log_via_worker(connection)) as feed:
        first = await anext(feed)
        for number in range(first.block.number, first.block.number + BLOCKS):
            event = first if number == first.block.number else await anext(feed)
            neurons = json_codec.decode(event.body)
            assert neurons["block"] == {"number": event.block.number, "hash": event.block.hash}
            assert len(neurons["neurons"]) == 256
            seen.append(event.block.number)
            await pylon.devnet.advance()
        assert feed.counts.lost == feed.counts.skipped == 0
    assert seen == list(range(seen[0], seen[0] + BLOCKS))


async def test_a_new_worker_loads_the_snapshot_from_its_parts(pylon: ReadsDeployment) -> None:
    async def is_published() -> bool:
        return (await pylon.query(Via.NATS, reads.RECENT_NEURONS, netuid=1)).status == 200

    await comes_true(is_published)
    pylon.devnet.clear_requests()
    async with running(WorkerSettings()) as worker:

        async def is_filled() -> bool:
            return worker.snapshots.get(str(NeuronsEventSubject(NetUid(1)))) is not None

        await comes_true(is_filled)
        snapshot = worker.snapshots.get(str(NeuronsEventSubject(NetUid(1))))
    assert snapshot is not None
    assert len(json_codec.decode(snapshot.body)["neurons"]) == 256
    assert NEURONS_CALL not in pylon.devnet.request_counts()
