"""Where the chain ends, confirmed by a second answer of the node.

The SDK's own methods for heights are not used: they convert a number of any length, and keep a
wrong one with its block's hash for as long as the connection lasts.
"""

from typing import Any, Final, Protocol

from pylon.chain.bounds import ImplausibleError, block_hash, block_number, header_number
from pylon.chain.sdk_types import RawSdk
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockHash, BlockNumber

BEST_HEAD_METHOD: Final = "chain_getHead"
FINALIZED_HEAD_METHOD: Final = "chain_getFinalizedHead"

_MAX_ATTEMPTS: Final = 3
"""How often to ask: a reorganisation between two answers makes them differ."""


class _TipSdk(Protocol):
    @property
    def raw(self) -> RawSdk: ...

    async def query(
        self,
        module: str,
        storage_function: str,
        params: list[Any] | None = None,
        block_hash: str | None = None,
    ) -> Any: ...


async def find_block_hash(sdk: _TipSdk, number: BlockNumber) -> BlockHash | None:
    """Return the hash of a number's block on the best chain; None where there is no such block.

    Raises:
        ImplausibleError: the node's answer is not a hash.
    """
    found = await sdk.raw.rpc_request("chain_getBlockHash", [number])
    return None if found is None else block_hash(found)


async def read_best_block(sdk: _TipSdk) -> Block:
    """Return the best block, whose state can be read.

    Its number is the one in its state, and the node gives its hash for that number.

    Raises:
        ImplausibleError: the answers contradict each other.
    """
    number = None
    for _ in range(_MAX_ATTEMPTS):
        head = block_hash(await sdk.raw.rpc_request(BEST_HEAD_METHOD))
        number = block_number(await sdk.query("System", "Number", [], head))
        if await find_block_hash(sdk, number) == head:
            return Block(number=number, hash=head)
    raise ImplausibleError("The number of the best block", number)


async def read_head_number(sdk: _TipSdk, method: str) -> BlockNumber:
    """Return the number of the best or of the newest final block.

    It is in the block's header, and the node gives the block's hash for that number.

    Args:
        sdk: connected to the node.
        method: `BEST` or `FINAL`.

    Raises:
        ImplausibleError: the answers contradict each other.
    """
    number = None
    for _ in range(_MAX_ATTEMPTS):
        head = block_hash(await sdk.raw.rpc_request(method))
        number = header_number(await sdk.raw.rpc_request("chain_getHeader", [head]))
        if await find_block_hash(sdk, number) == head:
            return number
    raise ImplausibleError("The number of a newest block", number)
