"""Heads that a second response of the node confirms."""

from typing import Any

import pytest

from pylon.chain.bounds import ImplausibleError
from pylon.chain.head_reads import (
    BEST_HEAD_METHOD,
    FINALIZED_HEAD_METHOD,
    read_best_block,
    read_head_number,
    read_tip,
    require_block_hash,
)
from pylon.chain.write_port import ChainTip
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber
from tests.support.chain.fake_writing_sdk import FakeWritingSdk, hash_of

HASHES = {number: f"0x{number:064x}" for number in range(10)}


class ReorganizingNode:
    """A node whose hash of a number differs from its head for some responses."""

    def __init__(self, wrong_responses: int) -> None:
        self.wrong_responses = wrong_responses
        self.raw = self

    async def rpc_request(self, method: str, params: list[Any] | None = None) -> Any:
        if method in (BEST_HEAD_METHOD, FINALIZED_HEAD_METHOD):
            return HASHES[7]
        if method == "chain_getHeader":
            return {"number": "0x7"}
        assert (method, params) == ("chain_getBlockHash", [7])
        self.wrong_responses -= 1
        return HASHES[8 if self.wrong_responses >= 0 else 7]

    async def query(self, *_args: Any, **_options: Any) -> int:
        return 7


async def test_a_head_is_read_again_after_a_reorg() -> None:
    assert await read_head_number(ReorganizingNode(2), FINALIZED_HEAD_METHOD) == 7
    block = await read_best_block(ReorganizingNode(2))
    assert (block.number, block.hash) == (7, HASHES[7])


async def test_contradicting_responses_are_an_error_of_the_node() -> None:
    with pytest.raises(ImplausibleError):
        await read_head_number(ReorganizingNode(3), BEST_HEAD_METHOD)
    with pytest.raises(ImplausibleError):
        await read_best_block(ReorganizingNode(3))


async def test_a_required_block_that_the_node_lacks_is_unavailable() -> None:
    node = FakeWritingSdk(best=100, finalized=99)
    assert await require_block_hash(node, BlockNumber(100)) == hash_of(100)
    with pytest.raises(FailureError, match="block 101") as caught:
        await require_block_hash(node, BlockNumber(101))
    assert caught.value.code is ErrorCode.CHAIN_UNAVAILABLE


async def test_the_tip_has_a_finalized_head_up_to_the_best_head() -> None:
    tip = ChainTip(BlockNumber(100), BlockNumber(100))
    assert await read_tip(FakeWritingSdk(best=100, finalized=100)) == tip
    with pytest.raises(ImplausibleError, match="newest final block"):
        await read_tip(FakeWritingSdk(best=100, finalized=101))
