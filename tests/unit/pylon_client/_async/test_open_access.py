"""Following a stream, on the fake that users get for their tests."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import aclosing, closing
from itertools import islice
from typing import Any

import pytest

from pylon_client.contract import json_codec
from pylon_client.contract.models import NeuronChanges
from pylon_client.contract.snapshot_changes import neuron_changes
from pylon_client.contract.subjects import BlockEventSubject
from pylon_client.testing import FakePylon, sample_block_info, sample_neurons
from pylon_client.transport import StreamItem
from pylon_client.v1 import (
    AsyncPylonClient,
    BlockNumber,
    NetUid,
    PylonClient,
    PylonClosed,
    PylonRequestException,
)


@pytest.fixture
def pylon() -> FakePylon:
    pylon = FakePylon()
    for number in (5, 6, 7):
        pylon.publish(sample_block_info(number))
    return pylon


async def test_a_stream_starts_with_the_newest_value_and_resumes_after_a_break(
    pylon: FakePylon,
) -> None:
    async with pylon.async_client() as client, aclosing(client.open_access.blocks()) as blocks:
        assert await anext(blocks) == sample_block_info(7)
        pylon.break_streams()
        for number in (8, 9):
            pylon.publish(sample_block_info(number))
        assert [(await anext(blocks)).number for _ in range(2)] == [8, 9]
        waiting = asyncio.create_task(anext(blocks))
        await asyncio.sleep(0)
        pylon.break_streams()
        pylon.publish(sample_block_info(10))
        assert (await waiting).number == 10
    assert not pylon._listeners


async def test_a_stream_can_start_after_a_known_block(pylon: FakePylon) -> None:
    pylon.publish(sample_neurons(block_number=3), NetUid(1))
    async with pylon.async_client() as client:
        async with aclosing(client.open_access.blocks(after=BlockNumber(5))) as blocks:
            assert [(await anext(blocks)).number for _ in range(2)] == [6, 7]
        async with aclosing(client.open_access.neuron_snapshots(NetUid(1))) as snapshots:
            assert await anext(snapshots) == sample_neurons(block_number=3)
    with pytest.raises(ValueError, match="less than or equal to"):
        client.open_access.neuron_snapshots(NetUid(70_000))


async def test_changes_lead_from_one_snapshot_to_the_next(pylon: FakePylon) -> None:
    older, newer = (sample_neurons(count=count, block_number=8 + count) for count in (1, 2))
    body = neuron_changes(json_codec.encode(older), json_codec.encode(newer))
    pylon.publish(older, NetUid(1))
    pylon.publish(NeuronChanges.model_validate_json(body), NetUid(1))
    known = older.block.number
    async with (
        pylon.async_client() as client,
        aclosing(client.open_access.neuron_changes(NetUid(1), after=known)) as changes,
    ):
        assert (await anext(changes)).apply_to(older) == newer
    with (
        pylon.client() as blocking,
        closing(blocking.open_access.neuron_changes(NetUid(1))) as changes,
    ):
        assert next(changes).block == newer.block


def test_the_blocking_client_waits_for_each_value(pylon: FakePylon) -> None:
    with pylon.client() as client:
        with closing(client.open_access.blocks(after=BlockNumber(4))) as blocks:
            assert [block.number for block in islice(blocks, 3)] == [5, 6, 7]
            later = threading.Timer(0.05, pylon.publish, [sample_block_info(8)])
            later.start()
            assert next(blocks).number == 8
            later.join()
            pylon.break_streams()
            pylon.publish(sample_block_info(9))
            assert next(blocks).number == 9
        assert not pylon._listeners


def test_closing_the_client_ends_its_streams(pylon: FakePylon) -> None:
    client = pylon.client()
    with pytest.raises(PylonClosed):
        next(client.open_access.blocks())
    client.open()
    blocks = client.open_access.blocks()
    next(blocks)
    closing_later = threading.Timer(0.05, client.close)
    closing_later.start()
    with pytest.raises(PylonClosed):
        next(blocks)
    closing_later.join()


async def test_a_break_is_raised_after_the_limit(pylon: FakePylon) -> None:
    class Broken(FakePylon):
        is_down = False

        def listen(self, *arguments: Any) -> Any:
            if self.is_down:
                raise PylonRequestException("still down")
            self.is_down = True
            return super().listen(*arguments)

    broken = Broken()
    broken.publish(sample_block_info(1))
    async with broken.async_client() as client:
        blocks = client.open_access.blocks(give_up_after_s=0.3)
        assert (await anext(blocks)).number == 1
        broken.break_streams()
        with pytest.raises(PylonRequestException, match="still down"):
            await anext(blocks)


@pytest.mark.parametrize(
    "stream",
    [
        lambda client: client.open_access.blocks(patience_s=0.3),
        lambda client: client.open_access.neuron_snapshots(NetUid(1), patience_s=0.3),
    ],
)
async def test_the_old_name_of_the_limit_is_deprecated(
    pylon: FakePylon, stream: Callable[[AsyncPylonClient | PylonClient], object]
) -> None:
    for client in (pylon.async_client(), pylon.client()):
        with pytest.warns(DeprecationWarning, match="give_up_after_s"):
            stream(client)


async def test_missed_events_are_logged(pylon: FakePylon, caplog: pytest.LogCaptureFixture) -> None:
    pylon.publish(sample_block_info(40))
    after_gap = StreamItem(
        BlockNumber(40), pylon._items[BlockEventSubject()][-1].body, is_after_gap=True
    )
    pylon._items[BlockEventSubject()][-1] = after_gap
    with caplog.at_level(logging.WARNING, "pylon_client"):
        async with pylon.async_client() as client:
            blocks = client.open_access.blocks(after=BlockNumber(7))
            assert (await anext(blocks)).number == 40
            await blocks.aclose()
    assert "between block 7 and block 40" in caplog.text
