"""Reads of the neurons to publish: a few at a time, at the block that the chain has now."""

import asyncio
from typing import Final

from pylon.chain.chain_reader import ChainReader
from pylon.chain.queries.neuron_queries import Neurons
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockNumber, NetUid

MAX_CONCURRENT_FETCHES: Final = 8
"""Maximum number of concurrent reads of snapshots; the most requested subnets come first."""


class SnapshotFetcher:
    """Reads the neurons of subnets; waiting reads start in the order of their calls.

    Args:
        reader: reads the chain.
    """

    def __init__(self, reader: ChainReader) -> None:
        self._reader = reader
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_FETCHES)

    async def block(self, number: BlockNumber) -> Block:
        """Return a block of the best chain by its number.

        Raises:
            FailureError: see `ChainReads`.
        """
        return await self._reader.block(number)

    async def fetch(self, netuid: NetUid, block: Block) -> tuple[Block, bytes]:
        """Return the encoded neurons at a block, and the block at which they were read.

        If a reorg has removed the block, they are read at its replacement.

        Raises:
            FailureError: see `ChainReads`; NOT_FOUND if the subnet does not exist.
        """
        async with self._slots:
            try:
                return block, await self._reader.query(Neurons(netuid), block)
            except FailureError as error:
                if error.code is not ErrorCode.NOT_FOUND:
                    raise
                # Either the subnet does not exist, or a reorg has removed the block.
                current = await self._reader.block(block.number)
                if current == block:
                    raise
            return current, await self._reader.query(Neurons(netuid), current)
