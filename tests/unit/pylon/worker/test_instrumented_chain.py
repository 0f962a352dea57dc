"""The label `status` of operations on the chain, as the published service names it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest

from pylon.chain.query import Query, ResultT_co
from pylon.worker.instrumented_chain import InstrumentedChain
from pylon.worker.metrics import WorkerMetrics
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockHash, BlockNumber, Timestamp

BLOCK = Block(number=BlockNumber(7), hash=BlockHash("0x" + "0" * 64))


class _Chain:
    """A chain whose every operation ends in one way."""

    def __init__(self, end: BaseException | None) -> None:
        self._end = end

    def _finish(self) -> None:
        if self._end is not None:
            raise self._end

    async def latest_block(self, *, timeout_s: float) -> Block:
        self._finish()
        return BLOCK

    async def block(self, number: BlockNumber, *, timeout_s: float) -> Block:
        self._finish()
        return BLOCK

    async def timestamp(self, block: Block, *, timeout_s: float) -> Timestamp:
        self._finish()
        return Timestamp(0)

    async def query(
        self, query: Query[ResultT_co], block: Block, *, timeout_s: float
    ) -> ResultT_co:
        raise NotImplementedError

    async def subscribe_heads(self, *, silence_s: float) -> AsyncGenerator[BlockNumber]:
        yield BLOCK.number

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (None, "success"),
        (RuntimeError("a bug"), "error"),
        (FailureError(ErrorCode.CHAIN_UNAVAILABLE, "It is away."), "error"),
        (FailureError(ErrorCode.CHAIN_TIMEOUT, "It is slow."), "error"),
        (asyncio.CancelledError(), "cancelled"),
        (FailureError(ErrorCode.ARCHIVE_REQUIRED, "Discarded."), "unknown_block"),
        (FailureError(ErrorCode.NOT_FOUND, "Block 7 not found."), "unknown_block"),
        # The node's reply is as good as any.
        (FailureError(ErrorCode.NOT_FOUND, "Subnet 9 not found."), "success"),
    ],
)
async def test_an_operation_has_the_published_status(
    end: BaseException | None, status: str
) -> None:
    metrics = WorkerMetrics()
    chain = InstrumentedChain(_Chain(end), "ws://node", metrics)
    with contextlib.nullcontext() if end is None else pytest.raises(type(end)):
        await chain.block(BLOCK.number, timeout_s=1)
    labels = {"operation": "block", "uri": "ws://node", "netuid": "", "hotkey": ""}
    name = "pylon_bittensor_operation_duration_seconds_count"
    found = {
        each: metrics.registry.get_sample_value(name, {**labels, "status": each})
        for each in ("success", "error", "cancelled", "unknown_block")
    }
    assert found == {**dict.fromkeys(found), status: 1}
