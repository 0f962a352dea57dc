"""A whole worker between a real node and a real nats-server."""

import asyncio
import re
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from pydantic import SecretStr

from pylon.worker.main import Worker, WorkerError
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import (
    ALL_IDENTITIES,
    ALL_OPEN,
    BlockEventSubject,
    NeuronsEventSubject,
)
from pylon_client.contract.types import NetUid
from pylon_client.nats.nats_connection import NatsConnection
from pylon_devnet import Devnet, DevnetOptions
from tests.support.chain.devnet_process import DevnetProcess
from tests.support.nats.nats_server import NatsServer
from tests.support.product.eventually import HANGS_AFTER_S, eventually
from tests.support.product.running_worker import Published, connected, worker_on, worker_settings
from tests.support.product.worker_process import ITS_TURN

BLOCKS = str(BlockEventSubject())
NEURONS_OF_1 = str(NeuronsEventSubject(NetUid(1)))
LATEST_BLOCK = "pylon.v1.open.chain.block.latest"
LATEST_NEURONS = "pylon.v1.open.{}.neurons.latest"
NEURONS_AT = "pylon.v1.open.{}.neurons.at"
FETCHES = {
    "state_call:NeuronInfoRuntimeApi_get_neurons_lite",
    "state_call:SubnetInfoRuntimeApi_get_subnet_state",
}


async def number_of_latest(connection: NatsConnection, netuid: int) -> int:
    reply = await connection.request(LATEST_NEURONS.format(netuid), timeout_s=30)
    return int(json_codec.decode(reply.body)["block"]["number"])


def fetches_per_block(devnet: Devnet) -> Counter[tuple[str, int, int | None]]:
    return Counter(
        (record.method, record.params[0], record.block_number)
        for record in devnet.requests()
        if record.method in FETCHES
    )


def is_contiguous(numbers: list[int]) -> bool:
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_two_hundred_clients_cause_one_fetch_per_block_and_subnet(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """On a machine that is too slow for its lease, the publisher lease is lost and acquired again.

    The next term reads again what an interrupted term was reading. Before the first snapshot of a
    subnet is published, its readers fetch for themselves, once per block.
    """
    caplog.set_level("INFO")
    tracked = [1, 12]
    heads_at_snapshots: list[int] = []
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
        connected(server.url) as connection,
        AsyncExitStack() as stack,
    ):

        async def record_head(_: Msg) -> None:
            heads_at_snapshots.append(devnet.best_number)

        await connection.subscribe(NEURONS_OF_1, record_head)
        await connection.flush()
        await stack.enter_async_context(worker_on(server.url, devnet.url, netuids=tracked))
        seen: set[int] = set()
        while len(seen) < 6:
            # From the first moment on, before there is any snapshot; netuid 2 is not tracked.
            numbers = await asyncio.gather(
                *(number_of_latest(connection, 1) for _ in range(160)),
                *(number_of_latest(connection, 2) for _ in range(40)),
            )
            seen.update(numbers[:160])
        fetches = fetches_per_block(devnet)
    assert {netuid for _, netuid, _ in fetches} == {1, 2, 12}
    lost_turns = caplog.text.count(ITS_TURN) - 1
    fetched_again = fetches.total() - len(fetches)
    before_first_snapshot = heads_at_snapshots[0] + 1  # blocks 0 to that head
    assert fetched_again <= (lost_turns * len(tracked) + before_first_snapshot) * len(FETCHES)
    assert seen <= {block for _, netuid, block in fetches if netuid == 1}


async def test_events_and_replies_are_the_same_bytes(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, autostart=False)) as devnet,
        worker_on(server.url, devnet.url),
        connected(server.url) as connection,
        Published(connection) as published,
    ):
        await devnet.advance(1)
        await eventually(lambda: published.numbers(NEURONS_OF_1)[-1:] == [devnet.best_number])
        stream = connection.nats.jetstream()
        event = await stream.get_last_msg("PYLON_EVENTS", NEURONS_OF_1)
        latest = await connection.request(LATEST_NEURONS.format(1))
        block = json_codec.decode(latest.body)["block"]
        at = await connection.request(
            NEURONS_AT.format(1), json_codec.encode({"block_number": block["number"]})
        )
        assert event.data == latest.body == at.body
        assert event.headers is not None
        assert event.headers["Nats-Msg-Id"] == f"1-{block['hash']}"
        assert event.headers["Pylon-Block-Hash"] == block["hash"]
        block_event = await stream.get_last_msg("PYLON_EVENTS", BLOCKS)
        assert block_event.data == (await connection.request(LATEST_BLOCK)).body
        assert (block_event.headers or {})["Nats-Msg-Id"] == f"block-{block['hash']}"


async def test_events_have_no_gap_or_repeat_after_chain_and_nats_were_killed(
    tmp_path: Path,
) -> None:
    async with (
        NatsServer(tmp_path) as server,
        DevnetProcess(tmp_path, block_time_s=0.5) as devnet,
        worker_on(server.url, devnet.url),
        connected(server.url) as connection,
        Published(connection) as published,
    ):

        async def blocks_published_past(number: int) -> None:
            await eventually(lambda: published.numbers(BLOCKS)[-1:] > [number])

        await blocks_published_past(2)
        await devnet.kill()
        before = published.numbers(BLOCKS)[-1]
        await devnet.start()
        await blocks_published_past(before + 3)

        await server.kill()
        before = await devnet.best_number()
        while await devnet.best_number() < before + 3:  # blocks that cannot be published
            await asyncio.sleep(0.05)
        await server.start()
        await blocks_published_past(before + 4)

        # Both at once.
        await asyncio.gather(devnet.kill(), server.kill())
        before = published.numbers(BLOCKS)[-1]
        await asyncio.gather(devnet.start(), server.start())
        await blocks_published_past(before + 3)
        newest = published.numbers(BLOCKS)[-1]
        await eventually(lambda: published.numbers(NEURONS_OF_1)[-1:] >= [newest])
        assert await number_of_latest(connection, 1) >= newest
        blocks, snapshots = published.numbers(BLOCKS), published.numbers(NEURONS_OF_1)
    assert is_contiguous(blocks), blocks
    assert is_contiguous(snapshots), snapshots


async def test_a_restarted_worker_publishes_the_missed_blocks(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, autostart=False)) as devnet,
        connected(server.url) as connection,
        Published(connection) as published,
    ):
        async with worker_on(server.url, devnet.url):
            await devnet.advance(3)
            await eventually(lambda: published.numbers(NEURONS_OF_1)[-1:] == [3])
        await devnet.advance(40)
        async with worker_on(server.url, devnet.url):
            await eventually(lambda: published.numbers(NEURONS_OF_1)[-1:] == [43])
        blocks, snapshots = published.numbers(BLOCKS), published.numbers(NEURONS_OF_1)
    assert is_contiguous(blocks), blocks
    assert blocks[-1] == 43
    assert snapshots[-32:] == list(range(12, 44)), "as many as the stream keeps"


async def test_two_workers_publish_each_block_once(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.25)) as devnet,
        connected(server.url) as connection,
        Published(connection) as published,
        worker_on(server.url, devnet.url),
        worker_on(server.url, devnet.url),
    ):
        await eventually(lambda: len(published.numbers(NEURONS_OF_1)) >= 8)
        blocks, snapshots = published.numbers(BLOCKS), published.numbers(NEURONS_OF_1)
    assert is_contiguous(blocks), blocks
    assert is_contiguous(snapshots), snapshots


async def test_latest_fails_while_the_chain_is_down_and_then_recovers(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        DevnetProcess(tmp_path, block_time_s=0.25) as devnet,
        worker_on(server.url, devnet.url, head_silence_s=1.5),
        connected(server.url) as connection,
    ):
        before = await number_of_latest(connection, 1)
        await devnet.kill()
        failures: set[ErrorCode] = set()
        async with asyncio.timeout(HANGS_AFTER_S):
            while ErrorCode.CHAIN_UNAVAILABLE not in failures:
                try:
                    await number_of_latest(connection, 1)
                except FailureError as error:
                    failures.add(error.code)
                await asyncio.sleep(0.05)
        with pytest.raises(FailureError) as caught:
            await connection.request(LATEST_BLOCK, timeout_s=30)
        assert caught.value.failure.http_status == 502
        assert "The last known block is" in caught.value.failure.detail
        await devnet.start()
        async with asyncio.timeout(HANGS_AFTER_S):
            latest = before
            while latest <= before + 2:
                try:
                    latest = await number_of_latest(connection, 1)
                except FailureError:
                    await asyncio.sleep(0.05)


async def test_requests_in_progress_are_answered_before_a_worker_stops(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, autostart=False)) as devnet,
        connected(server.url) as connection,
    ):
        await devnet.advance(60)
        async with worker_on(server.url, devnet.url):
            devnet.clear_requests()
            asking = [
                asyncio.create_task(
                    connection.request(
                        NEURONS_AT.format(1),
                        json_codec.encode({"block_number": number}),
                        timeout_s=60,
                    )
                )
                for number in range(30)
            ]
            await eventually(lambda: devnet.request_counts().get("chain_getBlockHash", 0) >= 1)
        replies = await asyncio.gather(*asking)
    assert [json_codec.decode(reply.body)["block"]["number"] for reply in replies] == list(
        range(30)
    )


async def test_a_worker_fails_when_its_connection_to_nats_is_closed_for_good(
    tmp_path: Path,
) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, autostart=False)) as devnet,
    ):
        worker = Worker(worker_settings(server.url, devnet.url))
        running = asyncio.create_task(worker.run(asyncio.Event()))
        await asyncio.wait_for(worker.ready.wait(), HANGS_AFTER_S)
        # From now on NATS rejects connections without this password.
        server.reload('authorization { user: "someone", password: "else" }')
        with pytest.raises(WorkerError, match="connection closed permanently"):
            await asyncio.wait_for(running, HANGS_AFTER_S)


@pytest.mark.parametrize("subject", [NEURONS_OF_1, ALL_OPEN, ALL_IDENTITIES])
async def test_a_worker_with_revoked_subscriptions_fails(tmp_path: Path, subject: str) -> None:
    """It would return the last published values forever, or receive no requests."""

    def users(denied: str = "nothing") -> str:
        deny = f'permissions: {{ subscribe: {{ deny: "{denied}" }} }}'
        return f'authorization {{ users: [{{ user: "worker", password: "secret", {deny} }}] }}'

    async with (
        NatsServer(tmp_path, users()) as server,
        Devnet(DevnetOptions(port=0, autostart=False)) as devnet,
    ):
        settings = worker_settings(server.url, devnet.url)
        worker = Worker(settings.model_copy(update={"nats_worker_password": SecretStr("secret")}))
        running = asyncio.create_task(worker.run(asyncio.Event()))
        await asyncio.wait_for(worker.ready.wait(), HANGS_AFTER_S)
        server.reload(users(denied=subject))
        named = f"{re.escape(subject)}.*nats-conf"
        with pytest.raises(WorkerError, match=named):
            await asyncio.wait_for(running, HANGS_AFTER_S)
        again = Worker(settings.model_copy(update={"nats_worker_password": SecretStr("secret")}))
        with pytest.raises(WorkerError, match=named):
            await asyncio.wait_for(again.run(asyncio.Event()), HANGS_AFTER_S)
