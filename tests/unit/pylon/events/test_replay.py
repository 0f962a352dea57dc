"""Replay requests: one read for concurrent equal requests, and the headers of the reply."""

import asyncio
from collections import Counter

import pytest

from pylon.events.replay import ReplayHandlers
from pylon.rpc.calls import HandlerTable, ServiceCall
from pylon_client.contract import headers
from pylon_client.contract.event_replay import (
    EVENT_OPERATIONS,
    PUBLISHED_BLOCK,
    PUBLISHED_NEURONS,
    ReplayParams,
)
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import Scope
from pylon_client.contract.subjects import BlockEventSubject
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.events.stored_events import FeedEvent
from tests.support.chain.fake_chain import block_of, hash_of


class FakeEventLog:
    """Returns one event, and counts its reads."""

    def __init__(self, event: FeedEvent | None) -> None:
        self.event = event
        self.reads = Counter[tuple[str, BlockNumber | None]]()

    async def __call__(self, subject: str, after: BlockNumber | None = None) -> FeedEvent | None:
        self.reads[subject, after] += 1
        await asyncio.sleep(0)
        return self.event


def replay_of(netuid: NetUid | None, after: int | None) -> ServiceCall[ReplayParams]:
    return ServiceCall(
        operation=PUBLISHED_BLOCK.name if netuid is None else PUBLISHED_NEURONS.name,
        scope=Scope.OPEN,
        netuid=netuid,
        identity=None,
        params=ReplayParams(after=None if after is None else BlockNumber(after)),
        timeout_s=10.0,
        request_id="r",
    )


async def test_concurrent_equal_requests_share_one_read() -> None:
    event_log = FakeEventLog(FeedEvent(str(BlockEventSubject()), block_of(5), b"block"))
    handlers = ReplayHandlers(event_log)
    results = await asyncio.gather(*(handlers.block(replay_of(None, 4)) for _ in range(50)))
    assert {result.body for result in results} == {b"block"}
    assert event_log.reads == {(str(BlockEventSubject()), 4): 1}


async def test_lost_blocks_and_the_genesis_are_in_the_headers() -> None:
    event = FeedEvent(
        str(BlockEventSubject()), block_of(9), b"block", lost=range(5, 9), genesis=hash_of(0)
    )
    result = await ReplayHandlers(FakeEventLog(event)).block(replay_of(None, 4))
    assert result.block == block_of(9)
    assert result.headers == {headers.LOST_BLOCKS: "4", headers.GENESIS: hash_of(0)}


async def test_changes_are_read_from_the_subject_of_their_subnet() -> None:
    event_log = FakeEventLog(FeedEvent("pylon.v1.event.changes.7", block_of(5), b"changes"))
    result = await ReplayHandlers(event_log).changes(replay_of(NetUid(7), 4))
    assert (result.body, result.block) == (b"changes", block_of(5))
    assert event_log.reads == {("pylon.v1.event.changes.7", 4): 1}


@pytest.mark.parametrize(
    ("netuid", "after", "text"),
    [
        (None, None, "Nothing is published on pylon.v1.event.block."),
        (NetUid(7), 4, "Nothing newer than block 4 is published on pylon.v1.event.neurons.7."),
    ],
)
async def test_without_an_event_the_error_names_the_subject(
    netuid: NetUid | None, after: int | None, text: str
) -> None:
    handlers = ReplayHandlers(FakeEventLog(None))
    handle = handlers.block if netuid is None else handlers.neurons
    with pytest.raises(FailureError) as caught:
        await handle(replay_of(netuid, after))
    assert caught.value.code is ErrorCode.NOT_FOUND
    assert caught.value.failure.detail == text


def test_every_operation_is_registered() -> None:
    table = HandlerTable()
    ReplayHandlers(FakeEventLog(None)).register(table)
    assert set(table.handlers) == {operation.name for operation in EVENT_OPERATIONS}
