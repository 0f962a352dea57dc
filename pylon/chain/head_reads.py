"""Reads of the best and finalized heads, each confirmed by a second response of the node.

The SDK's own methods for heights are not used: they accept a number of any length, and cache an
invalid one with its block's hash for the lifetime of the connection.
"""

from typing import Final, Protocol

from pylon.chain.bounds import ImplausibleError, block_hash, block_number, header_number
from pylon.chain.sdk_types import RawSdk, StorageSdk
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockHash, BlockNumber

BEST_HEAD_METHOD: Final = "chain_getHead"
FINALIZED_HEAD_METHOD: Final = "chain_getFinalizedHead"

_MAX_ATTEMPTS: Final = 3
"""Maximum attempts to read a head: a reorg between two responses makes them differ."""


class _TipSdk(StorageSdk, Protocol):
    @property
    def raw(self) -> RawSdk: ...


async def find_block_hash(sdk: _TipSdk, number: BlockNumber) -> BlockHash | None:
    """Return the hash of a block of the best chain; None if the chain has no such block.

    Raises:
        ImplausibleError: the node's response is not a hash.
    """
    found = await sdk.raw.rpc_request("chain_getBlockHash", [number])
    return None if found is None else block_hash(found)


async def read_best_block(sdk: _TipSdk) -> Block:
    """Return the best block, with the number that its state contains.

    The node also returns the block's hash for that number.

    Raises:
        ImplausibleError: the responses contradict each other.
    """
    number = None
    for _ in range(_MAX_ATTEMPTS):
        head = block_hash(await sdk.raw.rpc_request(BEST_HEAD_METHOD))
        number = block_number(await sdk.query("System", "Number", [], head))
        if await find_block_hash(sdk, number) == head:
            return Block(number=number, hash=head)
    raise ImplausibleError("The number of the best block", number)


async def read_head_number(sdk: _TipSdk, method: str) -> BlockNumber:
    """Return the number of the best or the finalized head, from its header.

    The node also returns the block's hash for that number.

    Args:
        sdk: connected to a node.
        method: `BEST_HEAD_METHOD` or `FINALIZED_HEAD_METHOD`.

    Raises:
        ImplausibleError: the responses contradict each other.
    """
    number = None
    for _ in range(_MAX_ATTEMPTS):
        head = block_hash(await sdk.raw.rpc_request(method))
        number = header_number(await sdk.raw.rpc_request("chain_getHeader", [head]))
        if await find_block_hash(sdk, number) == head:
            return number
    raise ImplausibleError("The number of a newest block", number)
