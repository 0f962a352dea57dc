"""Reads of the chain as encoded replies: shared between callers and cached by block hash."""

from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from pylon.chain.port import ChainReads, read_block_info
from pylon.chain.query import AnyQuery
from pylon.common.read_cache import ReadCache, SingleFlight
from pylon_client.contract import json_codec
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockNumber


class ChainReader:
    """Reads the chain for handlers and publishers, with one request per distinct read.

    Several callers may wait for one read, so its timeout is that of the chain. A caller with an
    earlier deadline cancels its call; the read ends when its last caller has left.

    Args:
        chain: the chain to read.
        chain_timeout_s: timeout of a shared read, in seconds.
        cache: holds encoded results by query and block hash; a new one by default.
    """

    def __init__(
        self, chain: ChainReads, *, chain_timeout_s: float, cache: ReadCache | None = None
    ) -> None:
        self._chain = chain
        self._chain_timeout_s = chain_timeout_s
        self._cache = cache or ReadCache()
        self._block_flight = SingleFlight[Block]()
        self._info_flight = SingleFlight[tuple[Block, bytes]]()

    async def latest_block(self) -> Block:
        """Request the newest block from the chain.

        Raises:
            FailureError: see `ChainReads`.
        """

        async def fetch() -> Block:
            return await self._chain.latest_block(timeout_s=self._chain_timeout_s)

        return await self._block_flight.get("latest", fetch)

    async def latest_block_info(self) -> tuple[Block, bytes]:
        """Request the newest block and its timestamp; return the block and its encoded info.

        Raises:
            FailureError: see `ChainReads`.
        """

        async def fetch() -> tuple[Block, bytes]:
            block = await self._chain.latest_block(timeout_s=self._chain_timeout_s)
            info = await read_block_info(self._chain, block, timeout_s=self._chain_timeout_s)
            return block, json_codec.encode(info)

        return await self._info_flight.get("latest", fetch)

    async def block(self, number: BlockNumber) -> Block:
        """Request a block of the best chain by its number.

        The result is not cached: a reorg may give the number of a recent block another hash.

        Raises:
            FailureError: see `ChainReads`.
        """

        async def fetch() -> Block:
            return await self._chain.block(number, timeout_s=self._chain_timeout_s)

        return await self._block_flight.get(number, fetch)

    async def query(self, query: AnyQuery, block: Block) -> bytes:
        """Return the encoded result of a query at a block, from the cache or the chain.

        Raises:
            FailureError: see `ChainReads`.
        """

        async def fetch() -> bytes:
            result = await self._chain.query(query, block, timeout_s=self._chain_timeout_s)
            return result if isinstance(result, bytes) else json_codec.encode(result)

        return await self._cache.get((query, block.hash), fetch)

    async def cached(
        self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, bytes]]
    ) -> bytes:
        """Return the cached value of `key`, or call `compute` once for all concurrent callers.

        Args:
            key: identifies the value; it must contain the hash of a block.
            compute: computes the value.
        """
        return await self._cache.get(key, compute)
