"""Reads of the chain as encoded replies, each of which is asked of the chain once."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

from pydantic import BaseModel

from pylon.chain.port import ChainReads, read_block_info
from pylon.chain.query import Query
from pylon.common.read_cache import ReadCache, SingleFlight, chain_timeout_error
from pylon_client.contract import wire
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockNumber

T = TypeVar("T")


class ChainReader:
    """What handlers and publishers read the chain through, so that nothing is read twice.

    A flight has the chain's deadline, since others may be waiting for it; each caller waits as
    long as it wants.
    """

    def __init__(
        self, chain: ChainReads, *, chain_timeout_s: float, cache: ReadCache | None = None
    ) -> None:
        self._chain = chain
        self._chain_timeout_s = chain_timeout_s
        self._cache = cache or ReadCache()
        self._block_flight = SingleFlight[Block]()
        self._info_flight = SingleFlight[tuple[Block, bytes]]()

    async def latest_block(self, *, timeout_s: float) -> Block:
        """The chain's newest block, asked of the chain now.

        Raises:
            FailureError: as the chain port says.
        """

        async def fetch() -> Block:
            return await self._chain.latest_block(timeout_s=self._chain_timeout_s)

        return await _with_timeout(timeout_s, self._block_flight.get("latest", fetch))

    async def latest_block_info(self, *, timeout_s: float) -> tuple[Block, bytes]:
        """The chain's newest block with its timestamp, encoded, asked of the chain now."""

        async def fetch() -> tuple[Block, bytes]:
            block = await self._chain.latest_block(timeout_s=self._chain_timeout_s)
            info = await read_block_info(self._chain, block, timeout_s=self._chain_timeout_s)
            return block, wire.encode(info)

        return await _with_timeout(timeout_s, self._info_flight.get("latest", fetch))

    async def block(self, number: BlockNumber, *, timeout_s: float) -> Block:
        """The block of that number; not kept, since a young block's number may get another hash."""

        async def fetch() -> Block:
            return await self._chain.block(number, timeout_s=self._chain_timeout_s)

        return await _with_timeout(timeout_s, self._block_flight.get(number, fetch))

    async def query(self, query: Query[BaseModel], block: Block, *, timeout_s: float) -> bytes:
        """The answer to a question at a block, encoded."""

        async def fetch() -> bytes:
            chain_timeout_s = self._chain_timeout_s
            return wire.encode(await self._chain.query(query, block, timeout_s=chain_timeout_s))

        return await self.cached((query, block.hash), fetch, timeout_s=timeout_s)

    async def cached(
        self,
        key: Hashable,
        fetch: Callable[[], Coroutine[Any, Any, bytes]],
        *,
        timeout_s: float,
    ) -> bytes:
        """What `fetch` gives, once for all who ask, and kept; the key must name a block's hash."""
        return await _with_timeout(timeout_s, self._cache.get(key, fetch))


async def _with_timeout(timeout_s: float, response: Coroutine[Any, Any, T]) -> T:
    try:
        async with asyncio.timeout(timeout_s):
            return await response
    except TimeoutError:
        raise chain_timeout_error(timeout_s) from None
