"""Reads and head subscriptions over a scripted SDK."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
from bittensor._transport.errors import BlockNotFound, StateDiscardedError

from pylon.chain import subtensor_reader
from pylon.chain.node_connection import ConnectionTimeouts
from pylon.chain.query import Query
from pylon.chain.sdk_types import Sdk
from pylon.chain.subtensor_reader import SubtensorReader
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, DrandRound
from pylon_client.contract.types import BlockNumber, NetUid
from tests.support.chain.fake_chain import hash_of
from tests.support.chain.writing_sdk import BLOCK, WritingSdk
from tests.support.product.stepped_loop import run_stepped

FIVE = NetUid(5)
SILENCE_S = 30.0
_END = object()


class FakeNode(WritingSdk):
    """A connection whose announcements are put into a queue."""

    def __init__(self, **storage: Any) -> None:
        super().__init__(storage=storage)
        self.announcements: asyncio.Queue[Any] = asyncio.Queue()
        self.subscriptions = 0
        self.unsubscribed = 0
        self.is_closed = False

    def announce(self, *numbers: Any) -> None:
        for number in numbers:
            self.announcements.put_nowait({"header": {"number": number}})

    async def blocks(self, *, finalized: bool = False) -> AsyncIterator[dict[str, Any]]:
        assert not finalized
        self.subscriptions += 1
        try:
            while (found := await self.announcements.get()) is not _END:
                if isinstance(found, Exception):
                    raise found
                yield found
        finally:
            self.unsubscribed += 1

    async def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def reader_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SubtensorReader]:
    def make(node: FakeNode, **options: Any) -> SubtensorReader:
        monkeypatch.setattr(subtensor_reader, "Substrate", lambda *_: node)
        timeouts = ConnectionTimeouts(backoff_s=0.0)
        return SubtensorReader("ws://node", role="The node", timeouts=timeouts, **options)

    return make


ReaderOf = Callable[[FakeNode], SubtensorReader]


@dataclass(frozen=True)
class Fails(Query[DrandRound]):
    """A query that fails."""

    error: Exception
    netuid: NetUid = FIVE

    async def execute(self, sdk: Sdk, block: Block) -> DrandRound:
        raise self.error


async def failure_of(reader: SubtensorReader, query: Query[DrandRound]) -> tuple[ErrorCode, str]:
    with pytest.raises(FailureError) as caught:
        await reader.query(query, BLOCK, timeout_s=5)
    return caught.value.code, caught.value.failure.detail


async def test_blocks_and_timestamps_are_read(reader_of: ReaderOf) -> None:
    reader = reader_of(FakeNode(Now=1_700_000_000_999))
    assert await reader.latest_block(timeout_s=5) == BLOCK
    assert await reader.block(BLOCK.number, timeout_s=5) == BLOCK
    assert await reader.timestamp(BLOCK, timeout_s=5) == 1_700_000_000
    assert await reader.parent_hash(BLOCK, timeout_s=5) == hash_of(BLOCK.number - 1)
    assert reader.connections_opened == 1
    await reader.close()


async def test_a_block_above_the_head_is_not_found(reader_of: ReaderOf) -> None:
    node = FakeNode()

    async def no_block(method: str, params: Any = None) -> None:
        return None

    node.raw.rpc_request = no_block
    with pytest.raises(FailureError, match="Block 9 not found") as caught:
        await reader_of(node).block(BlockNumber(9), timeout_s=5)
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_errors_of_the_sdk_name_the_block(reader_of: ReaderOf) -> None:
    reader = reader_of(FakeNode())
    unknown, discarded = Fails(BlockNotFound("x")), Fails(StateDiscardedError("x"))
    assert await failure_of(reader, unknown) == (ErrorCode.NOT_FOUND, "Block 1000 not found.")
    text = "The node has discarded the state of block 1000."
    assert await failure_of(reader, discarded) == (ErrorCode.ARCHIVE_REQUIRED, text)


async def test_errors_of_a_query_are_complete(reader_of: ReaderOf) -> None:
    for code in (ErrorCode.NOT_FOUND, ErrorCode.ARCHIVE_REQUIRED):
        error = FailureError(code, "Subnet 5 not found.")
        assert await failure_of(reader_of(FakeNode()), Fails(error)) == (code, error.failure.detail)


async def test_each_read_is_measured_with_its_netuid(
    reader_of: Callable[..., SubtensorReader],
) -> None:
    measured: list[tuple[str, str]] = []

    def instrument(operation: str, netuid: str) -> AbstractContextManager[object]:
        measured.append((operation, netuid))
        return nullcontext()

    reader = reader_of(FakeNode(Now=1), instrument=instrument)
    await reader.latest_block(timeout_s=5)
    await reader.block(BLOCK.number, timeout_s=5)
    await reader.timestamp(BLOCK, timeout_s=5)
    query = Fails(FailureError(ErrorCode.NOT_FOUND, "x"))
    await failure_of(reader, query)
    assert measured == [
        ("latest_block", ""),
        ("block", ""),
        ("timestamp", ""),
        (query.name, "5"),
    ]


def test_heads_are_yielded_as_announced(reader_of: ReaderOf) -> None:
    async def check() -> None:
        node = FakeNode()
        reader = reader_of(node)
        node.announce(7, 9, 9, 8)
        async with aclosing(reader.subscribe_heads(silence_s=SILENCE_S)) as heads:
            assert [await anext(heads) for _ in range(4)] == [7, 9, 9, 8]
        await reader.close()
        assert (node.subscriptions, node.unsubscribed, node.is_closed) == (1, 1, True)

    run_stepped(check())


def test_a_slow_subscriber_is_not_a_silent_node(reader_of: ReaderOf) -> None:
    async def check() -> None:
        node = FakeNode()
        async with aclosing(reader_of(node).subscribe_heads(silence_s=SILENCE_S)) as heads:
            for number in range(3):
                node.announce(number)
                assert await anext(heads) == number
                await asyncio.sleep(2 * SILENCE_S)

    run_stepped(check())


def test_the_limit_of_silence_starts_again_with_each_head(reader_of: ReaderOf) -> None:
    async def check() -> None:
        node = FakeNode()
        async with aclosing(reader_of(node).subscribe_heads(silence_s=SILENCE_S)) as heads:
            for number in range(4):
                asyncio.get_running_loop().call_later(0.6 * SILENCE_S, node.announce, number)
                assert await anext(heads) == number

    run_stepped(check())


def test_silence_ends_the_subscription_and_its_connection(reader_of: ReaderOf) -> None:
    async def check() -> None:
        node = FakeNode()
        reader = reader_of(node)
        heads = reader.subscribe_heads(silence_s=SILENCE_S)
        node.announce(7)
        assert await anext(heads) == 7
        with pytest.raises(FailureError, match="The node announced no block for 30 s") as caught:
            await anext(heads)
        assert caught.value.code is ErrorCode.CHAIN_TIMEOUT
        await asyncio.sleep(1)
        assert (node.unsubscribed, node.is_closed) == (1, True)

    run_stepped(check())


@pytest.mark.parametrize("number", ["7", -1, 2**32, True, None])
def test_an_invalid_head_is_logged_and_left_out(
    reader_of: ReaderOf, number: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        node = FakeNode()
        node.announce(number, number, 8)
        async with aclosing(reader_of(node).subscribe_heads(silence_s=SILENCE_S)) as heads:
            assert await anext(heads) == 8
        assert node.subscriptions == 1

    with caplog.at_level(logging.WARNING):
        run_stepped(check())
    assert caplog.text.count("announced an invalid head") == 1, "the same is not logged again"


def test_invalid_heads_do_not_count_as_a_sign_of_life(reader_of: ReaderOf) -> None:
    async def check() -> None:
        node = FakeNode()

        async def announce() -> None:
            while True:
                node.announce("invalid")
                await asyncio.sleep(SILENCE_S / 4)

        announcing = asyncio.create_task(announce())
        with pytest.raises(FailureError, match="announced no block") as caught:
            await anext(reader_of(node).subscribe_heads(silence_s=SILENCE_S))
        assert caught.value.code is ErrorCode.CHAIN_TIMEOUT
        announcing.cancel()

    run_stepped(check())


def test_an_announcement_that_the_sdk_cannot_parse_is_followed_by_a_new_subscription(
    reader_of: ReaderOf,
) -> None:
    async def check() -> None:
        node = FakeNode()
        node.announcements.put_nowait(ValueError("not hexadecimal"))
        node.announce(8)
        async with aclosing(reader_of(node).subscribe_heads(silence_s=SILENCE_S)) as heads:
            assert await anext(heads) == 8
        assert node.subscriptions == 2

    run_stepped(check())


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (_END, "The node ended the subscription"),
        (OSError("broken"), "connection to the chain broke"),
    ],
)
def test_a_broken_subscription_is_a_failure(reader_of: ReaderOf, end: Any, text: str) -> None:
    async def check() -> None:
        node = FakeNode()
        node.announcements.put_nowait(end)
        reader = reader_of(node)
        with pytest.raises(FailureError, match=text) as caught:
            await anext(reader.subscribe_heads(silence_s=SILENCE_S))
        assert caught.value.code is ErrorCode.CHAIN_UNAVAILABLE
        await asyncio.sleep(1)
        assert node.is_closed, "the connection is not used again"

    run_stepped(check())
