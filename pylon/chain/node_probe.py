"""Reads of block hashes over a separate connection, without a check of the node's chain."""

import asyncio
from collections.abc import Sequence
from typing import Final

from pylon.chain.faults import fault_of
from pylon.chain.substrate import GENESIS_NUMBER, block_hashes, node_url
from pylon_client.contract.failures import FailureError
from pylon_client.contract.types import BlockHash

PROBE_TIMEOUT_S: Final = 5.0
"""Default timeout of a probe, including opening the connection, in seconds."""


class NodeProbe:
    """Reads block hashes from a node, to identify its chain.

    Args:
        network: a network's name that the SDK knows, or a `ws://` or `wss://` URL.
        timeout_s: timeout of each method, in seconds.
    """

    def __init__(self, network: str, *, timeout_s: float = PROBE_TIMEOUT_S) -> None:
        self._url = node_url(network)
        self._timeout_s = timeout_s

    async def genesis(self) -> str:
        """Return the hash of the first block.

        Raises:
            FailureError: the node does not respond.
        """
        (found,) = await self.block_hashes([GENESIS_NUMBER])
        return str(found)

    async def block_hashes(self, numbers: Sequence[int]) -> list[BlockHash | None]:
        """Return the hash of each block of the best chain; None for a number above its head.

        Raises:
            FailureError: the node does not respond.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await block_hashes(self._url, numbers)
        except Exception as error:
            fault = fault_of(error)
            raise FailureError(fault.code, fault.detail) from error
