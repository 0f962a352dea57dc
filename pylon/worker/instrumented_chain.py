"""A chain whose operations are timed, each under its name and the node that it asked."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from typing import Final

from pylon.chain.port import Chain
from pylon.chain.query import Query, ResultT_co
from pylon.worker.metrics import WorkerMetrics
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockNumber, Timestamp

logger = logging.getLogger(__name__)

SUCCESS: Final = "success"
ERROR: Final = "error"
CANCELLED: Final = "cancelled"
UNKNOWN_BLOCK: Final = "unknown_block"
"""Status of an operation on a block that the node does not have, or whose state it discarded."""


class InstrumentedChain:
    """The same chain, and how long it takes to answer.

    Args:
        chain: one node.
        uri: which node it is, without anything secret.
        metrics: where the times go.
    """

    def __init__(self, chain: Chain, uri: str, metrics: WorkerMetrics) -> None:
        self._chain = chain
        self._uri = uri
        self._metrics = metrics

    async def latest_block(self, *, timeout_s: float) -> Block:
        """The newest block of the best chain."""
        with self._timed("latest_block"):
            return await self._chain.latest_block(timeout_s=timeout_s)

    async def block(self, number: BlockNumber, *, timeout_s: float) -> Block:
        """The block of that number on the best chain."""
        with self._timed("block"):
            return await self._chain.block(number, timeout_s=timeout_s)

    async def timestamp(self, block: Block, *, timeout_s: float) -> Timestamp:
        """When a block was made, in whole seconds since the Unix epoch."""
        with self._timed("timestamp"):
            return await self._chain.timestamp(block, timeout_s=timeout_s)

    async def query(
        self, query: Query[ResultT_co], block: Block, *, timeout_s: float
    ) -> ResultT_co:
        """The answer to a question as it was after a block."""
        netuid = getattr(query, "netuid", "")
        with self._timed(query.name, str(netuid)):
            return await self._chain.query(query, block, timeout_s=timeout_s)

    def subscribe_heads(self, *, silence_s: float) -> AsyncGenerator[BlockNumber]:
        """The number of each new best block; a subscription takes no time."""
        return self._chain.subscribe_heads(silence_s=silence_s)

    async def close(self) -> None:
        """Close the connection."""
        await self._chain.close()

    @contextmanager
    def _timed(self, operation: str, netuid: str = "") -> Generator[None]:
        begun_s = time.perf_counter()
        status = ERROR
        try:
            yield
            status = SUCCESS
        except asyncio.CancelledError:
            status = CANCELLED
            raise
        except FailureError as error:
            status = _status_of(error)
            raise
        finally:
            took_s = time.perf_counter() - begun_s
            logger.debug("%s of %s took %.3f s: %s", operation, self._uri, took_s, status)
            # Which hotkey a read is about is the caller's choice, and so no label.
            self._metrics.operation_s.labels(operation, status, self._uri, netuid, "").observe(
                took_s
            )


def _status_of(error: FailureError) -> str:
    """Return the status of an operation that ended with a failure."""
    if error.code is ErrorCode.ARCHIVE_REQUIRED:
        return UNKNOWN_BLOCK
    if error.code is ErrorCode.NOT_FOUND:
        # The node did reply; only for a missing block is that not what was asked for.
        return UNKNOWN_BLOCK if error.failure.detail.startswith("Block ") else SUCCESS
    return ERROR
